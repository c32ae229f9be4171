/**
 * What Discovery decides, without acting: which interface addresses to speak from, which of them a source belongs to,
 * what a datagram means, and whether whoever sent it is answered. Times are milliseconds of a monotonic clock.
 */
import * as Option from "effect/Option"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { tcp } from "../../schema/Address.ts"
import { type Announcement, announcementBytes, decode } from "../../schema/Announcement.ts"
import type { Instance } from "../../schema/Id.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import type { Datagram, Interface } from "../Datagrams.ts"
import type { Sighting } from "../Discovery.ts"

/** Most interface addresses spoken from. A host of containers has hundreds, and each costs a socket. */
export const outletsMax = 64

/** System services listen below this: an announcement may not aim our dials or answers at them. */
export const lowestPort = 1024

/**
 * Waits before each announcement of a new outlet, in milliseconds. The first three are for the first second; all of
 * them together make it certain enough that a network which loses a third of everything is crossed within five.
 */
export const burst: ReadonlyArray<number> = [0, 200, 500, 800, 1000, 1000, 1000]

/** A node counts as new on this path for as long as its burst lasts, and after a silence this long. */
const newFor = 5000
const forgottenAfter = 30_000

/** One announcement reaches us several times, by broadcast and by multicast: the copies get one answer. */
const answerGap = 150

/** Answers a second, and how many may come at once: what a flood of invented newcomers can make us send at most. */
const answersPerSecond = 50
const answersAtOnce = 100

export const keyOf = (one: Interface): string => `${one.name} ${one.address}/${one.prefix}`

const withoutZone = (host: string): string => host.replace(/%.*$/, "")
const zone = (host: string): string | undefined => /%(.*)$/.exec(host)?.[1]

const ip = (host: string): Option.Option<NetAddress.IpAddress> =>
  Result.getSuccess(NetAddress.ipFromString(withoutZone(host)))

const is = (host: string, what: (address: NetAddress.IpAddress) => boolean): boolean => Option.exists(ip(host), what)

const routable = (one: Interface): number => Number(!is(one.address, NetAddress.isLinkLocal))

/**
 * The interface addresses to speak from: every IPv4 one, since each has a subnet of its own, but of each interface's
 * IPv6 ones the first link-local and the first other, since they share one group. `::1` only where there is no
 * 127.0.0.1: systems do not multicast on it.
 */
export const outlets = (interfaces: ReadonlyArray<Interface>): ReadonlyArray<Interface> => {
  const loopback4 = interfaces.some((one) => one.loopback && one.family === "IPv4")
  const taken = new Set<string>()
  const chosen = interfaces.filter((one) => {
    if (one.family === "IPv4") return true
    if (one.loopback && loopback4) return false
    const kind = `${one.name} ${is(one.address, NetAddress.isLinkLocal)}`
    return !taken.has(kind) && taken.add(kind)
  })
  // Where there are too many, those with nothing but an automatic address (a container's end of a pair) give way.
  return chosen.toSorted((a, b) => routable(b) - routable(a)).slice(0, outletsMax)
}

/** The one of `from` whose network the host is on: by zone where it has one, else by the longest prefix. */
export const networkOf = <A extends Interface>(from: ReadonlyArray<A>, host: string): A | undefined => {
  const named = zone(host)
  if (named !== undefined) {
    const there = from.filter((one) => one.family === "IPv6" && one.name === named)
    return there.find((one) => is(one.address, NetAddress.isLinkLocal)) ?? there[0]
  }
  return Option.match(ip(host), {
    onNone: () => undefined,
    onSome: (source) =>
      from
        .filter((one) =>
          Option.exists(ip(one.address), (address) =>
            Result.match(IpNetwork.fromAddress(address, one.prefix), {
              onFailure: () => false,
              onSuccess: (network) => IpNetwork.contains(network, source)
            })
          )
        )
        .toSorted((a, b) => b.prefix - a.prefix)[0]
  })
}

/** A name as it may be announced: nothing in it that JSON would lengthen much, so that it fits. */
export const announcedName = (name: string): string => inert(name).replaceAll("\ufffd", "?")

/** What a datagram means to the node `self`. */
type Meaning =
  | { readonly _tag: "Nothing" }
  /** Our own, come back. */
  | { readonly _tag: "Own" }
  /** Our identity, from another run of a node. */
  | { readonly _tag: "Clone" }
  | { readonly _tag: "Heard"; readonly announcement: Announcement; readonly sighting: Sighting }

export const meaning = (self: { readonly id: PeerId; readonly instance: Instance }, datagram: Datagram): Meaning => {
  const announcement = Option.getOrUndefined(decode(datagram.payload))
  if (announcement === undefined) return { _tag: "Nothing" }
  if (announcement.id === self.id) {
    if (announcement.instance === self.instance) return { _tag: "Own" }
    // The last word of our own previous run may still be under way; a clone that stops is no longer one.
    return { _tag: announcement.kind === "goodbye" ? "Own" : "Clone" }
  }
  const { host } = datagram.from
  const unicast = is(host, (source) => NetAddress.isUnicast(source) && !NetAddress.isUnspecified(source))
  if (announcement.port < lowestPort || announcement.reply < lowestPort || !unicast) return { _tag: "Nothing" }
  const { id, instance, kind, name, port } = announcement
  const sighting: Sighting = {
    kind: kind === "goodbye" ? "goodbye" : "here",
    id,
    instance,
    name: inert(name),
    address: tcp(host, port)
  }
  return { _tag: "Heard", announcement, sighting }
}

/**
 * What datagrams mean, remembered: every node repeats the same bytes every few seconds, by several paths at once. Keeps
 * the newest `max` that meant something.
 */
export class Meanings {
  private readonly known = new Map<string, Meaning>()
  private readonly self: { readonly id: PeerId; readonly instance: Instance }
  private readonly max: number

  constructor(self: { readonly id: PeerId; readonly instance: Instance }, max: number) {
    this.self = self
    this.max = max
  }

  get size(): number {
    return this.known.size
  }

  of(datagram: Datagram): Meaning {
    if (datagram.payload.length > announcementBytes) return meaning(this.self, datagram)
    const { buffer, byteLength, byteOffset } = datagram.payload
    const key = `${datagram.from.host} ${Buffer.from(buffer, byteOffset, byteLength).toString("latin1")}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const found = meaning(this.self, datagram)
    if (found._tag === "Nothing") return found
    this.known.set(key, found)
    if (this.known.size > this.max) {
      const oldest = this.known.keys().next()
      if (oldest.done !== true) this.known.delete(oldest.value)
    }
    return found
  }
}

interface Path {
  readonly first: number
  readonly last: number
  readonly answered: number
}

/**
 * Who was heard lately, by id, instance and source: the newest `max`. It says who is new, and so is answered; a
 * spoofed source gets at most one answer for each announcement, never longer than it, and few a second.
 */
export class Newcomers {
  private readonly paths = new Map<string, Path>()
  private readonly max: number
  private tokens = answersAtOnce
  private refilled = 0

  constructor(max: number) {
    this.max = max
  }

  get size(): number {
    return this.paths.size
  }

  /** Notes that it was heard, and says whether to answer. */
  hear(announcement: Announcement, host: string, now: number): boolean {
    // A goodbye proves nothing, so it neither adds a node nor makes one new again.
    if (announcement.kind === "goodbye") return false
    const key = `${announcement.id} ${announcement.instance} ${host}`
    const known = this.paths.get(key)
    const fresh = known === undefined || now - known.last >= forgottenAfter
    const first = fresh ? now : known.first
    const answered = fresh ? Number.NEGATIVE_INFINITY : known.answered
    const asks = announcement.kind === "announce" && now - first < newFor && now - answered >= answerGap
    const answer = asks && this.take(now)
    // Deleting first makes it the youngest: a Map keeps the order of insertion.
    this.paths.delete(key)
    this.paths.set(key, { first, last: now, answered: answer ? now : answered })
    if (this.paths.size > this.max) {
      const oldest = this.paths.keys().next()
      if (oldest.done !== true) this.paths.delete(oldest.value)
    }
    return answer
  }

  private take(now: number): boolean {
    this.tokens = Math.min(answersAtOnce, this.tokens + ((now - this.refilled) * answersPerSecond) / 1000)
    this.refilled = now
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}
