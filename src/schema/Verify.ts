/**
 * What two people compare, computed. One side commits to a nonce, the other sends its own, then the first shows the
 * one it committed to. The words are a digest of both nonces, both keys and the TLS session, so whoever stands
 * between has one blind guess of 1 in 2^44 for each attempt; without the commitment seconds of work would do. Pure.
 *
 * A transcript is unambiguous: each part is preceded by its length, and the first says what the digest is for.
 */
import { sha256 } from "@noble/hashes/sha2.js"
import { wordlist } from "@scure/bip39/wordlists/english.js"
import { Bytes32, type VerificationId } from "./Id.ts"
import { base32, type PeerId } from "./PeerId.ts"

/** What is asked of TLS for the words (RFC 5705; a label of ours, for private use). */
export const bindingLabel = "EXPERIMENTAL-kith-verify-1"

/** Bytes of a nonce, and of what binds the words to the session. */
export const nonceBytes = 32

/** How many words are shown; each is 11 bits. */
const wordCount = 4

const bitsPerWord = 11

const encoder = new TextEncoder()

/** The parts as bytes, each after its length in four bytes, big-endian. */
export const transcript = (...parts: ReadonlyArray<string>): Uint8Array => {
  const bodies = parts.map((part) => encoder.encode(part))
  const bytes = new Uint8Array(bodies.reduce((sum, body) => sum + 4 + body.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const body of bodies) {
    view.setUint32(at, body.length)
    bytes.set(body, at + 4)
    at += 4 + body.length
  }
  return bytes
}

/** 32 bytes as the text that stands for them on the wire and in transcripts. */
export const bytes32 = (bytes: Uint8Array): Bytes32 => Bytes32.make(base32(bytes))

/** One comparison: its name, who began it, and what both ends of the TLS session derive from it. */
export interface Comparison {
  readonly verification: VerificationId
  readonly initiator: PeerId
  readonly responder: PeerId
  readonly binding: Bytes32
}

const parts = ({ verification, initiator, responder, binding }: Comparison) => [
  verification,
  initiator,
  responder,
  binding
]

/** What the initiator sends first. It names both sides and the session, so that it is worth nothing elsewhere. */
export const commit = (comparison: Comparison, nonce: Bytes32): Bytes32 =>
  bytes32(sha256(transcript("kith/1 verify commit", ...parts(comparison), nonce)))

/** The words, in their order. */
export const words = (
  comparison: Comparison,
  nonces: { readonly initiator: Bytes32; readonly responder: Bytes32 }
): ReadonlyArray<string> => {
  const digest = sha256(transcript("kith/1 verify words", ...parts(comparison), nonces.initiator, nonces.responder))
  return Array.from({ length: wordCount }, (_, at) => wordlist[bitsAt(digest, at * bitsPerWord)] ?? "")
}

/** Eleven bits, from this one on. */
const bitsAt = (bytes: Uint8Array, start: number): number => {
  let value = 0
  for (let bit = start; bit < start + bitsPerWord; bit++) {
    value = (value << 1) | (((bytes[bit >>> 3] ?? 0) >>> (7 - (bit & 7))) & 1)
  }
  return value
}
