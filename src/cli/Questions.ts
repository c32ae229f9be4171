/**
 * The questions that `up` asks on a terminal: offers that wait for an answer, what a typed line means for them, and
 * their lists on request. It owns nothing but the offers it was told of.
 */
import * as Effect from "effect/Effect"
import type { Transfer } from "../schema/Offer.ts"
import { short } from "../schema/PeerId.ts"
import { inert } from "../schema/Text.ts"
import type { Transfer as Transfers } from "../services/Transfer.ts"
import { shortId } from "./Account.ts"
import * as EntryLines from "./EntryLines.ts"
import * as Output from "./Output.ts"
import { whatOf } from "./Progress.ts"

/** What a line means for the offers that wait: for one of them, the oldest (null) or all. */
export type Answer =
  | { readonly _tag: "Decide"; readonly accept: boolean; readonly of: string | "all" | null }
  | { readonly _tag: "List"; readonly of: string | null }

/** What a line means as an answer, or null where it means none. Pure. */
export const answerOf = (line: string): Answer | null => {
  const [word = "", id, rest] = line.trim().split(/\s+/)
  if (rest !== undefined) return null
  if (word === "Y" || word === "N") return id === undefined ? { _tag: "Decide", accept: word === "Y", of: "all" } : null
  const of = id ?? null
  if (/^(y|yes)$/i.test(word)) return { _tag: "Decide", accept: true, of }
  if (/^(n|no)$/i.test(word)) return { _tag: "Decide", accept: false, of }
  return /^(l|list)$/i.test(word) ? { _tag: "List", of } : null
}

export const help = "y takes the oldest offer, n refuses it, l lists it; with ID another one; Y or N answer all of them"

/** Entries of a list that are shown at once on the terminal of a node; the verb shows all. */
const listedMax = 100

/** Whether there is room for it, where that is known. Pure. */
const roomOf = ({ freeBytes, totalBytes }: Transfer): string => {
  if (freeBytes === undefined) return ""
  return freeBytes < totalBytes
    ? `, where there is NOT enough room: ${Output.bytes(freeBytes)} are free`
    : `, where ${Output.bytes(freeBytes)} are free`
}

/** The question itself: who offers what, how far they are trusted, where it would go, and what can be answered. Pure. */
export const question = (
  transfer: Transfer,
  about: { readonly name: string; readonly trust: string; readonly into: string; readonly canAnswer: boolean }
): ReadonlyArray<string> => {
  const id = shortId(transfer)
  const what = `${whatOf(transfer)}${transfer.listing === true ? " so far, and is still listing" : ""}`
  return [
    `${about.name} (${short(transfer.peer)}, ${about.trust}) offers ${what}, to be stored in ${about.into}${roomOf(transfer)}`,
    about.canAnswer
      ? `  Take it? y or n, l for the list; or later: kith accept ${id}`
      : `  Take it: kith accept ${id}   Refuse it: kith decline ${id}   See it: kith transfers ${id} --list`
  ]
}

/** What could not be done is a line. */
const orSay = <E extends { readonly message: string }>(effect: Effect.Effect<void, E>): Effect.Effect<void> =>
  Effect.catch(effect, (error) => Output.tell(inert(error.message)))

export const make = (transfers: Transfers["Service"]) => {
  /** Offers without an answer, the oldest first. */
  const offers = new Map<Transfer["id"], Transfer>()

  /** Those that are meant; a line that says why where there are none. */
  const meant = (of: string | null): ReadonlyArray<Transfer> => {
    const all = [...offers.values()]
    if (of === "all") return all
    return of === null ? all.slice(0, 1) : all.filter((offer) => offer.id.startsWith(of))
  }

  const decide = (offer: Transfer, accept: boolean) =>
    (accept ? transfers.accept(offer.id, {}) : transfers.decline(offer.id)).pipe(
      Effect.andThen(Output.tell(`${accept ? "taken" : "declined"}: ${inert(offer.name)}`)),
      orSay
    )

  /** Those of which the list was asked for before it had come. */
  const awaited = new Set<Transfer["id"]>()

  const list = Effect.fnUntraced(function* (offer: Transfer) {
    if (offer.listed === false) {
      awaited.add(offer.id)
      return yield* Output.tell("its list is still on its way; it is shown as soon as it is here")
    }
    const entries = yield* transfers.entries(offer.id, { from: 0, limit: listedMax + 1 })
    yield* Output.tell(`${whatOf(offer)}:`)
    for (const entry of entries.slice(0, listedMax)) yield* Output.tell(`  ${EntryLines.lineOf(entry)}`)
    if (entries.length > listedMax) {
      yield* Output.tell(`  and more; all of it: kith transfers ${shortId(offer)} --list`)
    }
  }, orSay)

  /** A transfer that comes in is another one than it was. */
  const changed = (transfer: Transfer): Effect.Effect<void> => {
    if (transfer.state !== "offered") {
      offers.delete(transfer.id)
      awaited.delete(transfer.id)
      return Effect.void
    }
    offers.set(transfer.id, transfer)
    return transfer.listed !== false && awaited.delete(transfer.id) ? list(transfer) : Effect.void
  }

  /** Does what was typed; empty lines are nothing. */
  const typed = Effect.fnUntraced(function* (line: string) {
    if (line.trim() === "") return
    const answer = answerOf(line)
    if (answer === null) return yield* Output.tell(help)
    const [first, ...others] = meant(answer.of)
    if (first === undefined) {
      return yield* Output.tell(
        offers.size === 0 || answer.of === null ? "nothing is offered" : `no offer has the id "${inert(answer.of)}"`
      )
    }
    if (answer.of !== "all" && others.length > 0) return yield* Output.tell("several offers begin like that")
    if (answer._tag === "List") {
      return yield* list(first)
    }
    yield* Effect.forEach([first, ...others], (offer) => decide(offer, answer.accept), { discard: true })
  })

  return { changed, typed }
}
