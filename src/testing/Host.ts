/**
 * A simulated machine as the parts of a network see it: its cards, its addresses, whether it runs, and what its
 * processes do not notice yet. Topology makes and changes them.
 */
import type { Interface } from "../services/Datagrams.ts"
import type { Conditions } from "./Conditions.ts"

/** The first of the ports that systems hand out. */
export const ephemeralFirst = 49_152

/** What hosts are connected by: a cable, a switch, a wireless network. */
export interface Segment {
  readonly name: string
  readonly index: number
  conditions: Conditions
}

/** A network card of a host, or its loopback (`segment` null). */
export interface Card {
  readonly name: string
  readonly segment: Segment | null
  readonly interfaces: ReadonlyArray<Interface>
  plugged: boolean
}

/** Where a process's UDP socket, or its listener, ends. */
export interface Host {
  readonly name: string
  readonly index: number
  readonly cards: Array<Card>
  /** False once killed, until it is booted again. */
  up: boolean
  /** Counts its boots: what an earlier one had is dead. */
  boot: number
  /** The TCP port of the next link that is dialled from here. */
  nextPort: number
  /** Told of each address that it loses. */
  readonly onLost: Set<(address: string) => void>
  /** While it is frozen: what its processes do not notice yet, in order. */
  held: Array<() => void> | null
}

/** Tells the processes of a host something: at once, or once they are thawed. */
export const notice = (host: Host, happened: () => void): void => {
  if (host.held === null) happened()
  else host.held.push(happened)
}

/** Tells the processes of a host that the addresses of a card are gone. */
export const lose = (host: Host, card: Card): void =>
  notice(host, () => {
    for (const { address } of card.interfaces) for (const tell of host.onLost) tell(zoned(address, card))
  })

/** An address and the card it belongs to. */
export interface Place {
  readonly host: Host
  readonly card: Card
  readonly address: string
}

/** Whether this is an address and no name; a zone may follow it. */
export const isIp = (text: string) => text.includes(":") || /^\d+(\.\d+){3}$/.test(text)
export const isLinkLocal = (address: string) => address.startsWith("fe80:")
export const isLoopback = (address: string) => address === "::1" || address.startsWith("127.")

/** How a host writes an address that it knows by this card: a link-local one with the zone. */
export const zoned = (address: string, card: Card) => (isLinkLocal(address) ? `${address}%${card.name}` : address)

/** Every host has it. */
export const loopback: Card = {
  name: "lo",
  segment: null,
  plugged: true,
  interfaces: [
    { name: "lo", family: "IPv4", address: "127.0.0.1", prefix: 8, loopback: true },
    { name: "lo", family: "IPv6", address: "::1", prefix: 128, loopback: true }
  ]
}
