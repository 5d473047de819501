/** Whether tests do all that they can, as STYX_TEST_LONG=1 asks for: docs/status.md says what they do less of without. */
export const LONG_FORM = process.env.STYX_TEST_LONG === '1';
