/** Values that tests need and whose details do not matter: the same number always gives the same value. */
import { Bytes32, Epoch, MessageId, VerificationId } from "../src/schema/Id.ts"
import { base32, fromDigest, type PeerId } from "../src/schema/PeerId.ts"

const bytes = (length: number, n: number): Uint8Array => {
  const filled = new Uint8Array(length)
  new DataView(filled.buffer).setUint32(0, Math.imul(n + 1, 0x9e37_79b1) >>> 0)
  new DataView(filled.buffer).setUint32(4, n)
  return filled
}

/** Ids of different numbers differ in their first 8 characters too. */
export const someId = (n: number): PeerId => fromDigest(bytes(32, n))

export const someMessage = (n: number): MessageId => MessageId.make(base32(bytes(16, n)))

export const someEpoch = (n: number): Epoch => Epoch.make(base32(bytes(16, n)))

export const someBytes32 = (n: number): Bytes32 => Bytes32.make(base32(bytes(32, n)))

export const someVerification = (n: number): VerificationId => VerificationId.make(base32(bytes(16, n)))
