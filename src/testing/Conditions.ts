/**
 * How a segment treats what crosses it: as a test says it (`ConditionSettings`), and as the parts of the network read
 * it (`Conditions`, where nothing is left open). Pure.
 */
import type * as Duration from "effect/Duration"
import { micros } from "./Plan.ts"

/** How a segment treats what crosses it. What is not said stays as it was. A duration that is a number is milliseconds. */
export interface ConditionSettings {
  /** One way; 1 ms unless told otherwise. */
  readonly latency?: Duration.Input
  /** Up to this much more, by chance; 0 unless told otherwise. */
  readonly jitter?: Duration.Input
  /** Bytes a second, in each direction of each link; null (the default) is no bound. */
  readonly bandwidth?: number | null
  /** Chance of a datagram to be lost, from 0 (the default) to 1. Links lose nothing: a lost segment is sent again. */
  readonly loss?: number
  /** Chance of a datagram to arrive twice. */
  readonly duplication?: number
  /** Chance of a datagram to be late by up to ten latencies, so that later ones overtake it. */
  readonly reordering?: number
}

/** The same with nothing left open. Times in microseconds; chances from 0 to 1. */
export interface Conditions {
  /** One way. */
  readonly latency: number
  /** Up to this much more, for each segment of a link (which stays in order) and each datagram (which does not). */
  readonly jitter: number
  /** Bytes a second in each direction of each link, or null for no bound. */
  readonly bandwidth: number | null
  /** Chances of a datagram: to be lost, to arrive twice, to be overtaken by later ones. Links lose nothing. */
  readonly loss: number
  readonly duplication: number
  readonly reordering: number
}

/** Inside one machine nothing is lost and nothing takes long. */
export const loopbackConditions: Conditions = {
  latency: 10,
  jitter: 0,
  bandwidth: null,
  loss: 0,
  duplication: 0,
  reordering: 0
}

/** What was before, changed by what is said. */
export const applied = (before: Conditions, settings: ConditionSettings): Conditions => ({
  latency: settings.latency === undefined ? before.latency : micros(settings.latency),
  jitter: settings.jitter === undefined ? before.jitter : micros(settings.jitter),
  bandwidth: settings.bandwidth === undefined ? before.bandwidth : settings.bandwidth,
  loss: settings.loss ?? before.loss,
  duplication: settings.duplication ?? before.duplication,
  reordering: settings.reordering ?? before.reordering
})

/** A quiet network: one millisecond each way, and nothing goes wrong. */
export const defaultConditions: Conditions = {
  latency: micros("1 millis"),
  jitter: 0,
  bandwidth: null,
  loss: 0,
  duplication: 0,
  reordering: 0
}

/** What a packet meets that crosses both. */
export const joined = (here: Conditions, there: Conditions): Conditions => ({
  latency: here.latency + there.latency,
  jitter: here.jitter + there.jitter,
  bandwidth: Math.min(here.bandwidth ?? Infinity, there.bandwidth ?? Infinity),
  loss: 1 - (1 - here.loss) * (1 - there.loss),
  duplication: 1 - (1 - here.duplication) * (1 - there.duplication),
  reordering: 1 - (1 - here.reordering) * (1 - there.reordering)
})
