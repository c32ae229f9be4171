/** Short words about what was asked and did not work, or did; each goes away by itself, errors more slowly. */
import * as Atom from "effect/reactivity/Atom"
import { registry } from "./atoms.ts"

interface Notice {
  readonly id: number
  readonly kind: "done" | "problem"
  readonly text: string
}

const shownMax = 4
const patience = { done: 5_000, problem: 15_000 }

export const notices = Atom.keepAlive(Atom.make<ReadonlyArray<Notice>>([]))

let last = 0

export const put = (id: number): void => registry.update(notices, (known) => known.filter((notice) => notice.id !== id))

export const tell = (kind: Notice["kind"], text: string): void => {
  const notice = { id: ++last, kind, text }
  registry.update(notices, (known) => [...known.filter((other) => other.text !== text), notice].slice(-shownMax))
  setTimeout(() => put(notice.id), patience[kind])
}
