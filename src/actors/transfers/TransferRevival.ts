/**
 * Transfers of an earlier run, when the node starts: what ended is remembered for senders that ask again, and what is
 * not over goes on. It forks the fiber that removes what expired, into the scope of its caller.
 */
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Queue from "effect/Queue"
import { limits } from "../../config.ts"
import type { GroupId } from "../../schema/Id.ts"
import { isOver, type Transfer as View } from "../../schema/Offer.ts"
import * as TransferArchive from "../../services/TransferArchive.ts"
import { manifestMax } from "./ManifestBudget.ts"
import { receiveActor } from "./receive/ReceiveActor.ts"
import type { ReceiveMessage } from "./receive/ReceiveMessages.ts"
import { expired } from "./receive/ReceiveState.ts"
import { sendActor } from "./send/SendActor.ts"
import { Walk } from "./send/Walk.ts"
import type { SendMessage } from "./send/SendState.ts"
import { makeMailbox } from "./TransferActor.ts"
import { type TransferRuns, viewOf } from "./TransferRuns.ts"
import * as TransferStart from "./TransferStart.ts"
import { lastWordOf } from "./TransferWords.ts"

export const goOn = Effect.fn("TransferRevival.goOn")(function* (runs: TransferRuns) {
  const { history, store, walks } = runs.tools
  const { ended, gone, receives, sends } = yield* TransferStart.read(store, history)
  for (const { isKept, view } of ended) yield* remember(runs, view, isKept)
  for (const left of gone) yield* expire(runs, left)
  for (const left of receives) yield* receiveAgain(runs, left)
  const lists = new Map<GroupId, Walk>()
  // In the order of their places, so that those that the receivers know of have them again.
  for (const left of sends.toSorted((a, b) => a.begun.startedAt - b.begun.startedAt)) {
    const { group } = left.begun
    const list = lists.get(group) ?? new Walk(yield* runs.seed)
    lists.set(group, list)
    yield* sendAgain(runs, left, list)
  }
  for (const [group, list] of lists) {
    yield* FiberMap.run(walks, group, list.settledBy(TransferStart.listAgain(store, group, list, yield* runs.seed)))
  }
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(limits.cleanEvery), clean(runs))))
})

const clean = (runs: TransferRuns) =>
  Effect.suspend(() => {
    const live = runs.tools.book.all.filter((record) => !isOver(record.view.state))
    return TransferStart.clean(runs.tools.store, new Set(live.flatMap(({ staging }) => staging ?? [])))
  })

/** Nobody came back to it while this node did not run either, or not for long: that is said once. */
const expire = Effect.fnUntraced(function* (runs: TransferRuns, left: TransferArchive.Left) {
  const view: View = { ...viewOf(left.begun, "receive"), state: "failed", error: expired }
  yield* Effect.catch(runs.tools.history.save(view), (error) =>
    Effect.logWarning(`How this transfer ended is not kept: ${error.message}`)
  )
  yield* remember(runs, view, false)
  yield* Effect.logInfo(`A transfer is over: ${expired}`).pipe(
    Effect.annotateLogs({ peer: view.peer, transfer: view.id })
  )
})

/** It is over. It is shown, and its sender may not know. */
const remember = Effect.fnUntraced(function* (runs: TransferRuns, view: View, isKept: boolean) {
  const mailbox = yield* makeMailbox<ReceiveMessage>()
  yield* Queue.shutdown(mailbox)
  const record = yield* runs.tools.book.add(view, mailbox)
  record.bytes = view.bytes
  record.filesDone = view.filesDone ?? 0
  record.isKept = isKept
  if (view.direction === "receive") record.lastWord = lastWordOf(record)
})

const receiveAgain = Effect.fnUntraced(function* (
  runs: TransferRuns,
  left: TransferStart.Unfinished["receives"][number]
) {
  const { book, config, store } = runs.tools
  const { begun, staged } = left
  const ran = yield* Effect.orElseSucceed(TransferArchive.reopened(store, left), () => left.runs + 1)
  const mailbox = yield* makeMailbox<ReceiveMessage>()
  const record = yield* book.add(viewOf(begun, "receive"), mailbox)
  const kept = { root: staged.root, staging: staged.staging, runs: ran }
  const seed = yield* runs.seed
  const { freshStaging } = runs
  const known = { peerUp: false, unasked: true, conflict: config.conflict, manifestMax, seed, freshStaging, kept }
  yield* runs.start(record, receiveActor(runs.tools, record, mailbox, known))
})

const sendAgain = Effect.fnUntraced(function* (runs: TransferRuns, left: TransferArchive.Left, list: Walk) {
  const { book } = runs.tools
  const mailbox = yield* makeMailbox<SendMessage>()
  const record = yield* book.add(viewOf(left.begun, "send"), mailbox)
  runs.joinGroup(record, list)
  const run = sendActor(runs.tools, record, mailbox, { peerUp: false, walk: list, kept: left })
  yield* runs.start(record, run)
})
