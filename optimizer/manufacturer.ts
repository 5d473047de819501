/** Who makes an accelerator, by the name that catalogues give it. */

const MAKERS: readonly (readonly [RegExp, string])[] = [
  [/^tpu/, 'google'],
  [/^(trainium|inferentia)/, 'aws'],
  [/^(mi\d|radeon|instinct)/, 'amd'],
  [/^(gaudi|habana|max1|flex|data center gpu)/, 'intel'],
  [/^(xilinx|alveo|u30|fpga)/, 'xilinx'],
];

/** Lower case. What is not known as another's is NVIDIA's. */
export function manufacturerOf(name: string): string {
  const plain = name.toLowerCase();
  return MAKERS.find(([pattern]) => pattern.test(plain))?.[1] ?? 'nvidia';
}
