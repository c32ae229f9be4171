/**
 * Finds nodes on this network, and lets them find us: announces on every interface, answers newcomers by unicast,
 * says goodbye at the end. What it hears only ever suggests an address to dial.
 *
 * It owns the sockets and the announcing fiber; both end with its layer, after a goodbye.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Address } from "../schema/Address.ts"
import type { Instance } from "../schema/Id.ts"
import type { PeerId } from "../schema/PeerId.ts"

/** A node was heard. */
export interface Sighting {
  readonly kind: "here" | "goodbye"
  readonly id: PeerId
  readonly instance: Instance
  /** What it calls itself; worth no trust. */
  readonly name: string
  /** The datagram's source and the announced port. */
  readonly address: Address
}

/** What one interface did, for a person who asks why nobody is found. */
export interface InterfaceReport {
  readonly name: string
  readonly address: string
  /** Announcements sent, by destination, and the last error there, if any. */
  readonly sent: ReadonlyArray<{ readonly to: string; readonly count: number; readonly error: string | null }>
  /** Announcements of other nodes heard from this interface's network. */
  readonly heard: number
}

export class Discovery extends Context.Service<
  Discovery,
  {
    /** Every sighting from now on; a subscriber that is too slow loses the oldest. */
    readonly sightings: Stream.Stream<Sighting>
    /** Announces at once on every interface, as after a network change. */
    readonly announce: Effect.Effect<void>
    readonly report: Effect.Effect<{
      readonly interfaces: ReadonlyArray<InterfaceReport>
      /** Datagrams that were no announcement. */
      readonly dropped: number
      /** Why nothing can be heard at all, or null: the discovery port could not be opened. */
      readonly deaf: string | null
    }>
  }
>()("kith/services/Discovery") {}
