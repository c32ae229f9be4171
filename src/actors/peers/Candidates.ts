/**
 * The addresses at which a peer may be, in the order in which they are worth trying. Pure.
 *
 * An announcement can be forged by anyone on the network, so what was only heard never pushes out what has worked.
 * The newest hearsay still goes first, once: a peer that moved is found at its first word from the new place.
 */
import { limits } from "../../config.ts"
import { type Address, format } from "../../schema/Address.ts"

export interface Candidates {
  /** Heard last, and not tried with success. */
  readonly fresh: Address | null
  /** A session was dialled there; the latest first. */
  readonly proven: ReadonlyArray<Address>
  /** The rest; the latest first. */
  readonly heard: ReadonlyArray<Address>
}

export const noCandidates: Candidates = { fresh: null, proven: [], heard: [] }

const provenMax = limits.addressesMax / 2
const heardMax = limits.addressesMax - provenMax - 1

const without = (addresses: ReadonlyArray<Address>, address: Address) => {
  const text = format(address)
  return addresses.filter((each) => format(each) !== text)
}

const orderly = (fresh: Address | null): ReadonlyArray<Address> => (fresh === null ? [] : [fresh])

/** Someone says the peer is there. */
export const hear = (candidates: Candidates, address: Address): Candidates => ({
  fresh: address,
  proven: candidates.proven,
  heard: without([...orderly(candidates.fresh), ...without(candidates.heard, address)], address).slice(0, heardMax)
})

const isSame = (one: Address, other: Address): boolean => one.host === other.host && one.port === other.port

export const includes = ({ fresh, heard, proven }: Candidates, address: Address): boolean =>
  (fresh !== null && isSame(fresh, address)) ||
  proven.some((each) => isSame(each, address)) ||
  heard.some((each) => isSame(each, address))

/** It is there too, or may be; no reason to try it before others. */
export const note = (candidates: Candidates, address: Address): Candidates =>
  includes(candidates, address)
    ? candidates
    : { ...candidates, heard: [address, ...candidates.heard].slice(0, heardMax) }

/** A session was dialled there. */
export const prove = (candidates: Candidates, address: Address): Candidates => ({
  fresh: null,
  proven: [address, ...without(candidates.proven, address)].slice(0, provenMax),
  heard: without([...orderly(candidates.fresh), ...candidates.heard], address).slice(0, heardMax)
})

/** Each once, at most `limits.addressesMax`. */
export const list = (candidates: Candidates): ReadonlyArray<Address> => {
  const all = [...orderly(candidates.fresh), ...candidates.proven, ...candidates.heard]
  return [...new Map(all.map((address) => [format(address), address])).values()].slice(0, limits.addressesMax)
}
