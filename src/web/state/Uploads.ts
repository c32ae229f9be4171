/**
 * What is being handed over to the node: the page reads the files and streams them to it, the node keeps them and
 * offers them. Each upload shows its own progress and can be stopped; a page that closes loses only what was not handed
 * over yet. What was sent is sent again by the node; what the node does not have any more is handed over again where
 * this page still has it.
 */
import * as Effect from "effect/Effect"
import * as Atom from "effect/reactivity/Atom"
import type { Transfer } from "../../schema/Offer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { registry } from "./atoms.ts"
import { ask } from "./Client.ts"
import * as Handing from "./Handing.ts"
import { tell } from "./Notices.ts"
import type { Picked } from "./Picking.ts"

export interface Upload {
  readonly id: number
  readonly picked: Picked
  /** null: everyone. */
  readonly to: ReadonlyArray<PeerId> | null
  readonly bytes: number
  readonly state: "running" | "failed"
  readonly problem: string | null
}

export const uploads = Atom.keepAlive(Atom.make<ReadonlyArray<Upload>>([]))

const running = new Map<number, AbortController>()
let last = 0

/** What each transfer sends, of the newest that were handed over here. */
const sent = new Map<Transfer["id"], Picked>()
const sentMax = 256

const remember = (transfers: ReadonlyArray<Transfer>, picked: Picked): void => {
  for (const { id } of transfers) sent.set(id, picked)
  for (const id of sent.keys()) {
    if (sent.size <= sentMax) return
    sent.delete(id)
  }
}

/** Sends once more what a transfer sent, to the same peer. */
export const sendAgain = async ({ id, peer }: Transfer): Promise<void> => {
  const picked = sent.get(id)
  const answer = await ask((client) => {
    const asked = client.transfers.again({ params: { id } })
    // Refused for a path: what the node had of it is gone.
    return picked === undefined
      ? asked
      : Effect.catchTag(asked, "SendRefused", (refusal) => (refusal.path === null ? refusal : Effect.succeed(null)))
  })
  if (!answer.ok) return tell("problem", answer.problem)
  if (picked === undefined) return
  if (answer.value === null) begin(picked, [peer])
  else remember(answer.value, picked)
}

const change = (id: number, next: (upload: Upload) => Upload): void =>
  registry.update(uploads, (all) => all.map((upload) => (upload.id === id ? next(upload) : upload)))

const drop = (id: number): void => registry.update(uploads, (all) => all.filter((upload) => upload.id !== id))

const run = async (id: number, picked: Picked, to: Upload["to"]): Promise<void> => {
  const stop = new AbortController()
  running.set(id, stop)
  const answer = await Handing.hand(picked, to, stop.signal, (bytes) => change(id, (upload) => ({ ...upload, bytes })))
  running.delete(id)
  if (answer.ok) {
    remember(answer.value, picked)
    drop(id)
  } else if (!stop.signal.aborted) {
    change(id, (upload) => ({ ...upload, state: "failed", problem: answer.problem }))
    tell("problem", answer.problem)
  }
}

export const begin = (picked: Picked, to: Upload["to"]): void => {
  if (picked.files.length === 0 && picked.directories.length === 0) return
  const id = ++last
  const upload: Upload = { id, picked, to, bytes: 0, state: "running", problem: null }
  registry.update(uploads, (all) => [upload, ...all])
  void run(id, picked, to)
}

/** Stops it, or puts it away where it failed. */
export const stop = (id: number): void => {
  running.get(id)?.abort()
  drop(id)
}

export const again = (id: number): void => {
  const failed = registry.get(uploads).find((upload) => upload.id === id)
  if (failed === undefined) return
  change(id, (upload) => ({ ...upload, bytes: 0, state: "running", problem: null }))
  void run(id, failed.picked, failed.to)
}

// A tab that is closed now would cut what is being handed over: the browser asks first.
addEventListener("beforeunload", (event) => {
  if (running.size > 0) event.preventDefault()
})
