/** A secret value, closed: everything between the client and the step that writes it to a node sees this of it. */
export interface SecretBox {
  /** Id of the key that opens it. */
  readonly $secret: string;
  /** Base64; bound to the name of the secret. */
  readonly box: string;
}
