/** What can be done about a transfer now: hold it or let it go on, let it go first, end it, do it again. */
import type * as Effect from "effect/Effect"
import { ChevronsUp, Pause, Play, RotateCcw, X } from "lucide-react"
import { useState } from "react"
import { isOver, type Transfer } from "../../schema/Offer.ts"
import { inert } from "../../schema/Text.ts"
import { ask, type Client } from "../state/Client.ts"
import { tell } from "../state/Notices.ts"
import { sendAgain } from "../state/Uploads.ts"
import { IconButton } from "./Button.tsx"

/** States in which something may move, and so may be held. */
const holdable: ReadonlySet<Transfer["state"]> = new Set(["queued", "waiting", "running", "stalled"])

const act = async <A, E>(question: (client: Client) => Effect.Effect<A, E>) => {
  const answer = await ask(question)
  if (!answer.ok) tell("problem", answer.problem)
  return answer.ok
}

/**
 * Once more, where it did not wholly arrive. A receiver can only ask, since what is sent is the sender's to say, so that
 * is a message.
 */
const Again = ({ name, transfer }: { readonly transfer: Transfer; readonly name: string }) => {
  const { direction, peer, state } = transfer
  const [busy, setBusy] = useState(false)
  if (state === "done") return null
  if (direction === "send") {
    return (
      <IconButton
        className="-mt-1 -mr-2"
        label={`Send ${name} again`}
        disabled={busy}
        onClick={() => {
          setBusy(true)
          void sendAgain(transfer).finally(() => setBusy(false))
        }}
      >
        <RotateCcw size={18} aria-hidden />
      </IconButton>
    )
  }
  if (state === "declined") return null
  const text = `Please send “${name}” again.`
  return (
    <IconButton
      className="-mt-1 -mr-2"
      label={`Ask for ${name} again`}
      onClick={() =>
        void act((client) => client.messages.say({ payload: { text, to: peer } })).then((asked) => {
          if (asked) tell("done", `The sender was asked: ${text}`)
        })
      }
    >
      <RotateCcw size={18} aria-hidden />
    </IconButton>
  )
}

export const TransferControls = ({ transfer }: { readonly transfer: Transfer }) => {
  const [sure, setSure] = useState(false)
  const name = inert(transfer.name)
  if (isOver(transfer.state)) return <Again transfer={transfer} name={name} />
  const byId = { params: { id: transfer.id } }
  const first = transfer.priority === "high"
  return (
    <div className="-mt-1 -mr-2 flex">
      {(transfer.state === "queued" || first) && (
        <IconButton
          label={`${name} goes first`}
          aria-pressed={first}
          className={first ? "text-accent" : ""}
          onClick={() =>
            void act((client) =>
              client.transfers.prioritise({ ...byId, payload: { priority: first ? "normal" : "high" } })
            )
          }
        >
          <ChevronsUp size={18} aria-hidden />
        </IconButton>
      )}
      {holdable.has(transfer.state) && (
        <IconButton label={`Pause ${name}`} onClick={() => void act((client) => client.transfers.pause(byId))}>
          <Pause size={18} aria-hidden />
        </IconButton>
      )}
      {transfer.state === "paused" && (
        <IconButton label={`Resume ${name}`} onClick={() => void act((client) => client.transfers.resume(byId))}>
          <Play size={18} aria-hidden />
        </IconButton>
      )}
      <IconButton
        label={sure ? `Yes, cancel ${name}` : `Cancel ${name}`}
        className={sure ? "bg-danger-soft text-danger" : ""}
        onBlur={() => setSure(false)}
        onClick={() => {
          // What has moved already would be lost: that takes a second word.
          if (transfer.bytes > 0 && !sure) return setSure(true)
          void act((client) => client.transfers.cancel(byId))
        }}
      >
        <X size={18} aria-hidden />
      </IconButton>
    </div>
  )
}
