/**
 * Who a node is: the SHA-256 of its certificate's public key (SPKI, DER), written in lower-case base32
 * (RFC 4648, no padding). A pure value; nothing here acts.
 */
import * as Schema from "effect/Schema"

const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

/** 32 bytes are 51 full base32 digits and one digit that carries a single bit, so the last is `a` or `q`. */
const canonical = /^[a-z2-7]{51}[aq]$/u

/** The 52 characters that name a peer. Equal ids mean the same key, nothing else does. */
export const PeerId = Schema.String.check(
  Schema.isPattern(canonical, { expected: "a peer id (52 base32 characters)" })
).pipe(Schema.brand("PeerId"))
export type PeerId = typeof PeerId.Type

/** RFC 4648 base32 in lower case, without padding. */
export const base32 = (bytes: Uint8Array): string => {
  let text = ""
  let buffer = 0
  let bits = 0
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet.charAt((buffer >>> bits) & 31)
    }
  }
  return bits > 0 ? text + alphabet.charAt((buffer << (5 - bits)) & 31) : text
}

/** The bytes of a text in lower-case base32; bits that do not fill a byte, and characters of no digit, are left out. */
export const fromBase32 = (text: string): Uint8Array => {
  const bytes: Array<number> = []
  let buffer = 0
  let bits = 0
  for (const digit of text) {
    const value = alphabet.indexOf(digit)
    if (value < 0) continue
    buffer = ((buffer << 5) | value) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((buffer >>> bits) & 0xff)
    }
  }
  return Uint8Array.from(bytes)
}

/** The id of a key, from the 32-byte SHA-256 of its SPKI. */
export const fromDigest = (digest: Uint8Array): PeerId => PeerId.make(base32(digest))

/** The first 8 characters: enough to tell peers apart on a screen, never enough to trust one. */
export const short = (id: PeerId): string => id.slice(0, 8)

/** In groups of four, for reading aloud and comparing. */
export const grouped = (id: PeerId): string => id.replace(/(.{4})(?=.)/g, "$1-")
