/**
 * Who is where on a simulated network: segments, hosts, their interfaces and addresses, and which of them can reach
 * which now. It only answers questions; nothing here takes time, and nothing is ever forgotten.
 */
import * as Option from "effect/Option"
import { type Conditions, joined, loopbackConditions } from "./Conditions.ts"
import {
  type Card,
  ephemeralFirst,
  type Host,
  isIp,
  isLinkLocal,
  isLoopback,
  loopback,
  lose,
  type Place,
  type Segment
} from "./Host.ts"

/** What a typed host name or address turned out to be, seen from one host. */
type Resolution =
  | { readonly _tag: "Unresolved" }
  /** An address that nobody has, or that needs a zone and has none. */
  | { readonly _tag: "Nobody"; readonly detail: string }
  | { readonly _tag: "Found"; readonly from: Place; readonly to: Place }

/** The map of one network. Hosts and segments are made by their names, and stay. */
export class Topology {
  readonly #segments = new Map<string, Segment>()
  readonly #hosts = new Map<string, Host>()
  readonly #places = new Map<string, Place>()
  /** Each divides the hosts: those in different groups cannot hear each other. */
  #partitions: Array<ReadonlyMap<string, number>> = []
  /** Nothing gets from the hosts of the one list to those of the other. */
  #deaf: Array<{ readonly from: ReadonlySet<string>; readonly to: ReadonlySet<string> }> = []
  #cards = 0
  readonly #routed: boolean
  readonly #conditions: Conditions

  constructor(options: { readonly routed: boolean; readonly conditions: Conditions }) {
    this.#routed = options.routed
    this.#conditions = options.conditions
  }

  get hosts(): Iterable<Host> {
    return this.#hosts.values()
  }

  get segments(): Iterable<Segment> {
    return this.#segments.values()
  }

  segment(name: string): Segment {
    const known = this.#segments.get(name)
    if (known !== undefined) return known
    const made = { name, index: this.#segments.size, conditions: this.#conditions }
    this.#segments.set(name, made)
    return made
  }

  findHost(name: string): Host | undefined {
    return this.#hosts.get(name)
  }

  addHost(name: string, segments: ReadonlyArray<string>): Host {
    const host: Host = {
      name,
      index: this.#hosts.size,
      cards: [loopback],
      up: true,
      boot: 0,
      nextPort: ephemeralFirst,
      onLost: new Set(),
      held: null
    }
    this.#hosts.set(name, host)
    for (const segment of segments) this.plug(host, this.segment(segment))
    return host
  }

  /** Gives the host a card on that segment, or plugs in the one it had, with its old addresses. */
  plug(host: Host, segment: Segment): void {
    const known = host.cards.find((card) => card.segment === segment)
    if (known !== undefined) {
      known.plugged = true
      return
    }
    this.#addCard(host, segment, `eth${host.cards.length - 1}`, host.index + 1)
  }

  /** Gives its card on this segment new addresses: nobody answers at the old ones any more. */
  renumber(host: Host, segment: Segment): void {
    const at = host.cards.findIndex((card) => card.segment === segment)
    const [old] = at < 0 ? [] : host.cards.splice(at, 1)
    if (old === undefined) return
    for (const { address } of old.interfaces) this.#places.delete(address)
    const { plugged } = old
    old.plugged = false
    lose(host, old)
    const card = this.#addCard(host, segment, old.name, 0x8000 + ++this.#cards)
    card.plugged = plugged
  }

  #addCard(host: Host, segment: Segment, name: string, number: number): Card {
    const ipv4 = `10.${segment.index}.${number >>> 8}.${number & 255}`
    const ipv6 = `fe80::${(segment.index + 1).toString(16)}:${number.toString(16)}`
    const card: Card = {
      name,
      segment,
      plugged: true,
      interfaces: [
        { name, family: "IPv4", address: ipv4, prefix: 16, loopback: false },
        { name, family: "IPv6", address: ipv6, prefix: 64, loopback: false }
      ]
    }
    host.cards.push(card)
    for (const address of [ipv4, ipv6]) this.#places.set(address, { host, card, address })
    return card
  }

  unplug(host: Host, segment: Segment): void {
    for (const card of host.cards) {
      if (card.segment !== segment || !card.plugged) continue
      card.plugged = false
      lose(host, card)
    }
  }

  /** Hosts in different groups no longer reach each other; those in no group stay together. */
  partition(groups: ReadonlyArray<ReadonlyArray<string>>): void {
    this.#partitions.push(new Map(groups.flatMap((group, index) => group.map((name) => [name, index] as const))))
  }

  /** Nothing gets from these hosts to those; the other way stays as it is. */
  oneWay(from: ReadonlyArray<string>, to: ReadonlyArray<string>): void {
    this.#deaf.push({ from: new Set(from), to: new Set(to) })
  }

  heal(): void {
    this.#partitions = []
    this.#deaf = []
  }

  /** The interface with this address, as its host sees it now. */
  placeOf(host: Host, address: string): Place | undefined {
    const card = host.cards.find((card) => card.plugged && card.interfaces.some((each) => each.address === address))
    return card === undefined ? undefined : { host, card, address }
  }

  /** Hosts with a card on this segment, in the order in which they came. */
  *on(segment: Segment): Generator<{ readonly host: Host; readonly card: Card }> {
    for (const host of this.#hosts.values()) {
      for (const card of host.cards) if (card.segment === segment && card.plugged) yield { host, card }
    }
  }

  /** Whether a packet gets from one place to the other now. */
  reaches(from: Place, to: Place): boolean {
    if (!from.host.up || !to.host.up || !from.card.plugged || !to.card.plugged) return false
    if (from.host === to.host) return true
    if (this.#partitions.some((groups) => groups.get(from.host.name) !== groups.get(to.host.name))) return false
    if (this.#deaf.some((each) => each.from.has(from.host.name) && each.to.has(to.host.name))) return false
    if (from.card.segment === to.card.segment) return true
    return this.#routed
  }

  /** What a packet between these two places meets. */
  conditions(from: Place, to: Place): Conditions {
    if (from.host === to.host) return loopbackConditions
    const here = from.card.segment?.conditions ?? loopbackConditions
    const there = to.card.segment?.conditions ?? loopbackConditions
    if (from.card.segment === to.card.segment) return here
    return joined(here, there)
  }

  /** Whom `name` (a host's name, with or without `.local`, or an address) means on this host. */
  resolve(host: Host, name: string): Resolution {
    const [text = "", zone] = name.toLowerCase().split("%")
    if (isLoopback(text) || text === "localhost") {
      const place = { host, card: loopback, address: text === "localhost" ? "127.0.0.1" : text }
      return { _tag: "Found", from: place, to: place }
    }
    const address = isIp(text) ? text : this.#addressOf(text)
    if (address === undefined) return { _tag: "Unresolved" }
    const to = this.#places.get(address)
    if (to === undefined) return { _tag: "Nobody", detail: "no answer" }
    if (isLinkLocal(address) && zone === undefined) return { _tag: "Nobody", detail: "the zone is missing" }
    if (to.host === host) return { _tag: "Found", from: to, to }
    const from = Option.fromUndefinedOr(this.#cardTowards(host, to, zone)).pipe(
      Option.flatMap((card) =>
        Option.fromUndefinedOr(
          card.interfaces.find((each) => each.address.includes(":") === address.includes(":"))
        ).pipe(Option.map((each) => ({ host, card, address: each.address })))
      )
    )
    return Option.match(from, {
      onNone: () => ({ _tag: "Nobody", detail: "no route" }),
      onSome: (from) => ({ _tag: "Found", from, to })
    })
  }

  #addressOf(name: string): string | undefined {
    const host = this.#hosts.get(name.replace(/\.local$/, ""))
    return host?.cards.find((card) => card.segment !== null && card.plugged)?.interfaces[0]?.address
  }

  #cardTowards(host: Host, to: Place, zone: string | undefined): Card | undefined {
    const cards = host.cards.filter((card) => card.segment !== null && card.plugged)
    const shared = cards.find((card) => card.segment === to.card.segment)
    if (zone !== undefined) return shared?.name === zone ? shared : undefined
    return shared ?? (this.#routed ? cards[0] : undefined)
  }
}
