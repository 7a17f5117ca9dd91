/**
 * 72 random bits in 18 digits. `crypto.randomUUID` is there on pages of secure origins only.
 *
 * @example
 * const replyTo = `/temp-queue/${randomId()}`;
 */
export const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(16).padStart(2, '0')).join('');
