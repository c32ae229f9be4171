/**
 * The contract of the medium that announcements cross: this machine's interfaces, and what can be sent and heard
 * on them. DatagramsUdp is the real one, the simulated network another. Lossy, unordered, unauthenticated.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** One interface address by which other machines may be reached. */
export interface Interface {
  /** The system's name of it, such as `eth0`. */
  readonly name: string
  readonly family: "IPv4" | "IPv6"
  /** Ours; an IPv6 link-local one without its zone. */
  readonly address: string
  /** CIDR prefix length. */
  readonly prefix: number
  readonly loopback: boolean
}

/** UDP source or destination: an IP address (with a zone, `fe80::1%eth0`, where it is link-local) and port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface Datagram {
  readonly payload: Uint8Array
  readonly from: Endpoint
}

export class DatagramError extends Schema.TaggedError<DatagramError>()("DatagramError", {
  /** What was attempted, such as "multicast to 239.255.90.90 from eth0". */
  action: Schema.String,
  /** The system's code, such as ENETUNREACH or EADDRINUSE. */
  code: Schema.String
}) {
  override get message(): string {
    return `${this.action} failed (${this.code})`
  }
}

/** A way to send from one interface and to hear unicast that is meant for this process alone. */
export interface Sender {
  /** The UDP port of unicast replies. */
  readonly port: number
  /**
   * To every node that shares this interface's network: directed broadcast and multicast as the family allows.
   * One result per destination, so that a doctor can say what was refused.
   */
  readonly broadcast: (
    payload: Uint8Array
  ) => Effect.Effect<ReadonlyArray<{ readonly to: string; readonly error: DatagramError | null }>>
  readonly send: (payload: Uint8Array, to: Endpoint) => Effect.Effect<void, DatagramError>
}

/**
 * What is done about a datagram. It is called at once for each and must be quick; the effect that it returns is run in
 * turn with those of others, and while one is slow the others wait in a bounded buffer, then are dropped. Where there
 * is nothing more to do, `Effect.void` itself costs nothing.
 */
export type Receive = (datagram: Datagram) => Effect.Effect<void>

export class Datagrams extends Context.Service<
  Datagrams,
  {
    /** The interfaces as they are now. */
    readonly interfaces: Effect.Effect<ReadonlyArray<Interface>>
    /**
     * Hears the discovery port, which processes of one machine share: what is broadcast or multicast on any of the
     * machine's interfaces, those that come later included. Ends with the scope.
     */
    readonly listen: (port: number, receive: Receive) => Effect.Effect<void, DatagramError, Scope.Scope>
    /** Opens an interface for sending to nodes that listen on `port`; `receive` gets the unicast replies. */
    readonly open: (
      from: Interface,
      port: number,
      receive: Receive
    ) => Effect.Effect<Sender, DatagramError, Scope.Scope>
    /** How many datagrams arrived so far and were handed to nobody: too long, or more than the buffer held. */
    readonly dropped: Effect.Effect<number>
  }
>()("kith/services/Datagrams") {}
