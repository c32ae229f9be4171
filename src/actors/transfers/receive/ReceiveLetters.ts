/** What reaches the receiver of a transfer, as its machine understands it. */
import * as Option from "effect/Option"
import type { ConflictPolicy, TransferPriority } from "../../../schema/Offer.ts"
import type { OfferedList } from "./OfferedList.ts"
import { ReceiveMessage, type Receiving } from "./ReceiveMessages.ts"
import type { Letter, PersonAction } from "../TransferBook.ts"
import { isHeld } from "../TransferState.ts"

/** What some letters are about besides the machine. */
export interface Hearing {
  readonly list: OfferedList
  /** How urgent it is: what is said here counts more than what the sender says. */
  readonly prioritise: (priority: TransferPriority, by: "here" | "peer") => void
  /** What a person said of names that exist. */
  readonly choose: (conflict: ConflictPolicy | undefined) => void
}

export const readReceiving = (letter: Letter, state: Receiving, hearing: Hearing): Option.Option<ReceiveMessage> => {
  switch (letter._tag) {
    case "Session":
      if (!letter.up && !state.listed) hearing.list.forgetHalf()
      return Option.some(letter.up ? ReceiveMessage.PeerUp() : ReceiveMessage.PeerDown())
    case "Lane":
      return Option.some(ReceiveMessage.Attached({ lane: letter.number, attempt: letter.attempt }))
    case "Forgotten":
      return state.received
        ? Option.none()
        : Option.some(ReceiveMessage.Cancelled({ by: "peer", reason: "the sender no longer has it: it was restarted" }))
    case "Crowded":
      return state.accepted
        ? Option.none()
        : Option.some(ReceiveMessage.Decline({ reason: "too many offers waited for an answer" }))
    case "Frame":
      return readFrame(letter.frame, state, hearing)
    case "Person":
      // Publishing takes a moment and cannot be taken back.
      return state.received ? Option.none() : readPerson(letter.action, state, hearing)
  }
}

const readFrame = (
  frame: Extract<Letter, { readonly _tag: "Frame" }>["frame"],
  state: Receiving,
  hearing: Hearing
): Option.Option<ReceiveMessage> => {
  if (frame._tag === "Offer") {
    hearing.prioritise(frame.priority ?? "normal", "peer")
    if (!state.listed) hearing.list.counted(frame)
    return Option.some(ReceiveMessage.OfferedAgain({ listing: frame.listing ?? false }))
  }
  if (frame._tag !== "TransferControl" || state.received) return Option.none()
  switch (frame.action) {
    case "pause":
      return Option.some(ReceiveMessage.Paused({ by: "peer" }))
    case "resume":
      return Option.some(ReceiveMessage.Resumed({ by: "peer" }))
    case "cancel":
      return Option.some(ReceiveMessage.Cancelled({ by: "peer", reason: frame.reason }))
  }
}

const readPerson = (action: PersonAction, state: Receiving, hearing: Hearing): Option.Option<ReceiveMessage> => {
  switch (action._tag) {
    case "cancel":
      return Option.some(ReceiveMessage.Cancelled({ by: "here", reason: "the receiver cancelled it" }))
    case "pause":
      return state.pause.here ? Option.none() : Option.some(ReceiveMessage.Paused({ by: "here" }))
    case "resume":
      if (state.fault !== null) return Option.some(ReceiveMessage.Retry())
      return isHeld(state.pause) ? Option.some(ReceiveMessage.Resumed({ by: "here" })) : Option.none()
    case "prioritise":
      hearing.prioritise(action.priority, "here")
      return Option.some(ReceiveMessage.Changed())
    case "decline":
      return state.accepted ? Option.none() : Option.some(ReceiveMessage.Decline({ reason: "it was declined" }))
    case "accept":
      if (state.accepted || !hearing.list.answer(action)) return Option.none()
      hearing.choose(action.conflict)
      return Option.some(ReceiveMessage.Accept())
  }
}
