/**
 * A ticket: where a node is, which key it has, and a secret that is good for one use until it expires. Who has the
 * text can prove so to that node, which proves the same in turn; after that each has verified the other.
 *
 * As text it is `kith1:` and base32 without padding, in any letter case, so that a QR code stays small. The bytes:
 * length of all in 2 bytes and a check of that in 1; peer id in 32; secret in 16; expiry in seconds since 1970 in 5;
 * the number of addresses in 1, and for each its kind, length, host and port; a checksum in 4. Addresses of a kind
 * that is not known are skipped, so that later ones can be added. Pure.
 */
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import * as NetAddress from "effect/net/NetAddress"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Address, tcp } from "./Address.ts"
import { type Bytes32, TicketId } from "./Id.ts"
import { base32, fromBase32, PeerId } from "./PeerId.ts"
import { TicketForeign, TicketMistyped, TicketTruncated, TicketVersion } from "./TrustFailure.ts"
import { bytes32, transcript } from "./Verify.ts"

export const prefix = "kith1:"

/** What is asked of TLS for the proofs (RFC 5705; a label of ours, for private use). */
export const bindingLabel = "EXPERIMENTAL-kith-ticket-1"

export const secretBytes = 16

/** Most addresses in one ticket: more make it long, and a machine has few that others reach. */
export const addressesMax = 8

/** The longest text that is looked at. */
const textMax = 4096

/** `wrong`: the proof does not fit. `tooMany`: wrong ones came too often. A newer peer may say more. */
export type TicketRefusal = "used" | "expired" | "unknown" | "wrong" | "tooMany"

export interface Ticket {
  readonly id: PeerId
  readonly addresses: ReadonlyArray<Address>
  /** Sixteen bytes in base32. */
  readonly secret: Redacted.Redacted
  /** Milliseconds since 1970, in whole seconds, by the clock of the node that made it. */
  readonly expires: number
}

const kinds = { ipv4: 0, ipv6: 1, name: 2 } as const

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })
const isAddress = Schema.is(Address)
const isPeerId = Schema.is(PeerId)

const checksum = (bytes: Uint8Array): Uint8Array =>
  sha256(Uint8Array.of(...encoder.encode(prefix), ...bytes)).slice(0, 4)

const headerOf = (length: number): ReadonlyArray<number> => {
  const bytes = [length >>> 8, length & 0xff] as const
  return [...bytes, (bytes[0] * 7 + bytes[1] * 31 + 0x6b) & 0xff]
}
const headerBytes = 3

const hostOf = (host: string): { readonly kind: number; readonly bytes: ReadonlyArray<number> } =>
  Result.match(NetAddress.ipFromString(host), {
    onFailure: () => ({ kind: kinds.name, bytes: [...encoder.encode(host)] }),
    onSuccess: (ip) =>
      NetAddress.isIpv4Address(ip)
        ? { kind: kinds.ipv4, bytes: [...NetAddress.ipv4ToOctets(ip)] }
        : { kind: kinds.ipv6, bytes: [...NetAddress.ipv6ToOctets(ip)] }
  })

/** The text that is handed over. Only the first `addressesMax` addresses are in it. */
export const format = (ticket: Ticket): string => {
  const body: Array<number> = [...fromBase32(ticket.id), ...fromBase32(Redacted.value(ticket.secret))]
  const seconds = Math.floor(ticket.expires / 1000)
  body.push(Math.floor(seconds / 2 ** 32) & 0xff, ...[24, 16, 8, 0].map((shift) => (seconds >>> shift) & 0xff))
  const addresses = ticket.addresses.slice(0, addressesMax)
  body.push(addresses.length)
  for (const { host, port } of addresses) {
    const { bytes, kind } = hostOf(host)
    body.push(kind, bytes.length + 2, ...bytes, port >>> 8, port & 0xff)
  }
  const bytes = Uint8Array.of(...headerOf(headerBytes + body.length + 4), ...body)
  return prefix + base32(Uint8Array.of(...bytes, ...checksum(bytes)))
}

const mistyped = (problem: string) => Result.fail(new TicketMistyped({ problem }))

export type Malformed = TicketForeign | TicketVersion | TicketTruncated | TicketMistyped

/** Reads what a person pasted or typed; white space in it is nothing. */
export const parse = (input: string): Result.Result<Ticket, Malformed> => {
  const text = input.slice(0, textMax).replaceAll(/\s/g, "").toLowerCase()
  const version = /^kith(\d{1,9}):/.exec(text)?.[1]
  if (version === undefined) return Result.fail(new TicketForeign())
  if (version !== "1") return Result.fail(new TicketVersion({ version }))
  const digits = text.slice(prefix.length)
  const wrong = digits.search(/[^a-z2-7]/)
  if (wrong >= 0) {
    const character = String.fromCodePoint(digits.codePointAt(wrong) ?? 0)
    return mistyped(
      `there is a ${JSON.stringify(character)} at place ${prefix.length + wrong + 1}, which no ticket has`
    )
  }
  const bytes = fromBase32(digits)
  if (bytes.length < headerBytes) return Result.fail(new TicketTruncated({ missing: atLeast - digits.length }))
  const length = (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0)
  if (headerOf(length)[2] !== bytes[2]) return mistyped(`its first characters do not fit together`)
  const missing = digitsOf(length) - digits.length
  if (missing > 0) return Result.fail(new TicketTruncated({ missing }))
  if (missing < 0) return mistyped("it is longer than it says")
  if (base32(bytes) !== digits) return mistyped("its last character does not fit")
  const signed = bytes.slice(0, -4)
  if (base32(checksum(signed)) !== base32(bytes.slice(-4))) return mistyped("its checksum does not fit")
  const ticket = read(signed.slice(headerBytes))
  return ticket === undefined ? mistyped("what it says makes no sense") : Result.succeed(ticket)
}

/** Characters for so many bytes. */
const digitsOf = (bytes: number): number => Math.ceil((bytes * 8) / 5)

/** Characters of a ticket without any address. */
const atLeast = digitsOf(headerBytes + 32 + secretBytes + 5 + 1 + 4)

const read = (bytes: Uint8Array): Ticket | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const fixed = 32 + secretBytes
  if (bytes.length < fixed + 6) return undefined
  const id = base32(bytes.slice(0, 32))
  const expires = (view.getUint8(fixed) * 2 ** 32 + view.getUint32(fixed + 1)) * 1000
  const addresses: Array<Address> = []
  let at = fixed + 6
  for (let left = view.getUint8(fixed + 5); left > 0; left--) {
    if (at + 2 > bytes.length) return undefined
    const end = at + 2 + view.getUint8(at + 1)
    if (end > bytes.length || end < at + 4) return undefined
    const host = hostFrom(view.getUint8(at), bytes.slice(at + 2, end - 2))
    const address = host === undefined ? undefined : tcp(host, view.getUint16(end - 2))
    if (address !== undefined && isAddress(address) && addresses.length < addressesMax) addresses.push(address)
    at = end
  }
  if (at !== bytes.length || !isPeerId(id)) return undefined
  return { id, addresses, secret: Redacted.make(base32(bytes.slice(32, fixed))), expires }
}

const hostFrom = (kind: number, bytes: Uint8Array): string | undefined => {
  if (kind === kinds.ipv4 && bytes.length === 4) return String(NetAddress.ipv4FromBytesUnsafe(bytes))
  if (kind === kinds.ipv6 && bytes.length === 16) return String(NetAddress.ipv6FromBytesUnsafe(bytes))
  if (kind !== kinds.name) return undefined
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** What the node that made a ticket keeps of it: enough to check a proof, and never the ticket. */
export interface TicketKey {
  readonly ticket: TicketId
  readonly key: Redacted.Redacted<Uint8Array>
}

export const keyOf = (secret: Redacted.Redacted): TicketKey => {
  const text = Redacted.value(secret)
  return {
    ticket: TicketId.make(base32(sha256(transcript("kith/1 ticket id", text)).slice(0, 16))),
    key: Redacted.make(sha256(transcript("kith/1 ticket key", text)))
  }
}

/** Who proves it to whom, on which TLS session. */
export interface Meeting {
  readonly inviter: PeerId
  readonly joiner: PeerId
  readonly binding: Bytes32
}

/** Says, for this session alone, that this side holds the ticket; the two sides' proofs differ. */
export const prove = ({ key, ticket }: TicketKey, side: "inviter" | "joiner", meeting: Meeting): Bytes32 =>
  bytes32(
    hmac(
      sha256,
      Redacted.value(key),
      transcript("kith/1 ticket proof", side, ticket, meeting.inviter, meeting.joiner, meeting.binding)
    )
  )

/** Whether two proofs are equal, in a time that depends on neither. */
export const equal = (one: Bytes32, other: Bytes32): boolean => {
  let difference = one.length ^ other.length
  for (let at = 0; at < one.length; at++) difference |= one.charCodeAt(at) ^ other.charCodeAt(at)
  return difference === 0
}
