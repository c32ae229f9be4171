/** What waits for the person: offers to answer, and transfers under way. */
import * as Atom from "effect/reactivity/Atom"
import { isOver, type Transfer } from "../../schema/Offer.ts"
import { model } from "./Live.ts"
import { unread } from "./Reading.ts"

const transfers = Atom.make((get): ReadonlyArray<Transfer> => [...(get(model)?.transfers.values() ?? [])])

/** Offers that only a person here can answer. */
export const offers = Atom.keepAlive(
  Atom.make((get) => get(transfers).filter(({ direction, state }) => direction === "receive" && state === "offered"))
)

export const underway = Atom.keepAlive(
  Atom.make((get) =>
    get(transfers).filter(({ direction, state }) => !isOver(state) && !(direction === "receive" && state === "offered"))
  )
)

export const finished = Atom.keepAlive(Atom.make((get) => get(transfers).filter(({ state }) => isOver(state))))

/** All unread messages together. */
export const unreadTotal = Atom.keepAlive(
  Atom.make((get) => [...get(unread).values()].reduce((sum, count) => sum + count, 0))
)

export const alarmTotal = Atom.keepAlive(Atom.make((get) => get(model)?.alarms.length ?? 0))
