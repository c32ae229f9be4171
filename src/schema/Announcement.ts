/**
 * The datagram by which nodes find each other: JSON, padded with spaces to 512 bytes, so that an answer is
 * never larger than what it answers. It only ever suggests an address to dial; it changes no name and no trust.
 * The address is the datagram's source; nothing inside it can point elsewhere. Pure.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Port } from "./Address.ts"
import { Instance } from "./Id.ts"
import { PeerId } from "./PeerId.ts"
import { byteLength, Name, nameMaxBytes } from "./Text.ts"

/** Every announcement is this long. */
export const announcementBytes = 512

/** Larger datagrams are dropped unread. */
export const datagramMaxBytes = 1200

/**
 * Where announcements go besides a subnet's broadcast address: an administratively scoped IPv4 group (RFC 2365) and a
 * transient group of link-local scope for IPv6 (RFC 4291), whose last 32 bits spell "kith". No router carries either.
 */
export const multicastGroups = { IPv4: "239.255.90.90", IPv6: "ff12::6b69:7468" } as const

export const Announcement = Schema.Struct({
  kith: Schema.Literal(1),
  /** `announce`: answer me if I am new to you. `answer`: a unicast reply to one. `goodbye`: I am stopping. */
  kind: Schema.Literals(["announce", "answer", "goodbye"]),
  id: PeerId,
  instance: Instance,
  name: Name,
  /** The TCP port of the listener. */
  port: Port,
  /** A UDP port that only this process hears: several nodes of one host share the discovery port. */
  reply: Port
})
export type Announcement = typeof Announcement.Type

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()
const fromJson = Schema.decodeUnknownOption(Schema.fromJsonString(Announcement))
const toJson = Schema.encodeSync(Schema.fromJsonString(Announcement))

/** The announcement in a datagram, or none: whatever else arrives on the port is dropped and counted. */
export const decode = (datagram: Uint8Array): Option.Option<Announcement> => {
  if (datagram.length > datagramMaxBytes || datagram.length < announcementBytes) return Option.none()
  try {
    return fromJson(utf8.decode(datagram))
  } catch {
    return Option.none()
  }
}

/**
 * Always 512 bytes. Control characters in the name become U+FFFD: JSON writes each in six bytes, and 64 of them
 * would not fit.
 */
export const encode = (announcement: Announcement): Uint8Array => {
  const bytes = new Uint8Array(announcementBytes).fill(0x20)
  encoder.encodeInto(toJson({ ...announcement, name: shortened(announcement.name) }), bytes)
  return bytes
}

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const control = /[\u0000-\u001f]/g

/** At most 64 bytes of UTF-8 again, in whole characters. */
const shortened = (name: string): string => {
  const clean = name.replace(control, "\ufffd")
  let text = ""
  let bytes = 0
  for (const character of clean) {
    bytes += byteLength(character)
    if (bytes > nameMaxBytes) break
    text += character
  }
  return text
}
