/**
 * One simulated link: two ends, and what a test can do to both. It lives as long as one of its ends has an owner.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Address } from "../schema/Address.ts"
import type { PeerId } from "../schema/PeerId.ts"
import type { Link, Protocol } from "../services/Transport.ts"
import type { Kind } from "./History.ts"
import { type Between, LinkEnd } from "./LinkEnd.ts"
import type { LiveLink, Medium } from "./Medium.ts"
import { type Host, type Place, zoned } from "./Host.ts"

/** What a link is made of. */
interface LinkOptions {
  readonly medium: Medium
  readonly protocol: Protocol
  /** The dialler's end first: where it is, and what history calls it. */
  readonly ends: readonly [EndOptions, EndOptions]
}

interface EndOptions {
  readonly place: Place
  readonly port: number
  readonly id: PeerId
  /** Where the other side is, as this side sees it. */
  readonly remote: Address
}

export class SimulatedLink implements LiveLink, Between {
  readonly medium: Medium
  readonly places: readonly [Place, Place]
  readonly dialled: LinkEnd
  readonly accepted: LinkEnd
  readonly #options: LinkOptions
  readonly #secret: Uint8Array
  isHalfOpen = false
  /** The other side has heard of it: its end has an owner. */
  #isAccepted = false

  constructor(options: LinkOptions) {
    const [from, to] = options.ends
    const names = options.ends.map((end) => `${end.place.host.name}:${end.port}`)
    const random = options.medium.random.fork(`link ${options.medium.timeline.now()} ${names.join(" ")}`)
    this.medium = options.medium
    this.places = [from.place, to.place]
    this.#options = options
    this.#secret = random.bytes(32)
    this.dialled = new LinkEnd(this, from.place, names[0] ?? "", random.fork("there"))
    this.accepted = new LinkEnd(this, to.place, names[1] ?? "", random.fork("back"))
    this.medium.links.add(this)
  }

  other(end: LinkEnd): LinkEnd {
    return end === this.dialled ? this.accepted : this.dialled
  }

  note(kind: Kind, from: LinkEnd, bytes?: Uint8Array, detail?: string): void {
    this.medium.history.add(kind, from.name, this.other(from).name, bytes, detail)
  }

  resume(): void {
    this.dialled.resume()
    this.accepted.resume()
  }

  cut(): void {
    this.note("reset", this.dialled, undefined, "cut")
    this.dialled.drop("the connection was reset")
    this.accepted.drop("the connection was reset")
    this.forgetIfGone()
  }

  halfOpen(): void {
    this.isHalfOpen = true
  }

  lose(host: Host): void {
    for (const end of [this.dialled, this.accepted]) if (end.place.host === host) end.drop("this machine is gone")
    this.forgetIfGone()
  }

  forgetIfGone(): void {
    if (this.dialled.isGone && (this.accepted.isGone || !this.#isAccepted)) this.medium.links.delete(this)
  }

  /** Hands the other end to `inbound` once the handshake has come there. */
  open(inbound: (link: Link, destroy: () => void) => void): void {
    this.dialled.open(() => {
      this.#isAccepted = true
      this.medium.links.add(this)
      inbound(this.link("accepted"), () => this.accepted.destroy())
    })
  }

  /** The end as its owner sees it. */
  link(side: Link["side"]): Link {
    const end = side === "dialled" ? this.dialled : this.accepted
    const [from, to] = this.#options.ends
    const [own, far] = side === "dialled" ? [from, to] : [to, from]
    return {
      peer: far.id,
      protocol: this.#options.protocol,
      side,
      remote: own.remote,
      local: zoned(own.place.address, own.place.card),
      read: end.buffer.read,
      readFully: (into) => end.buffer.readFully(into),
      write: end.write,
      close: end.close,
      exportKey: (label, length) =>
        Effect.suspend(() =>
          end.over === undefined ? Effect.succeed(this.#export(label, length)) : Effect.fail(end.over)
        )
    }
  }

  /** The same on both ends, another for another link or label. */
  #export(label: string, length: number): Uint8Array {
    const key = new Uint8Array(length)
    for (let at = 0, block = 0; at < length; at += 32, block++) {
      const digest = createHash("sha256").update(this.#secret).update(`${block} ${length} ${label}`).digest()
      key.set(digest.subarray(0, length - at), at)
    }
    return key
  }
}
