/** What can be done about a transfer now: hold it or let it go on, let it go first, end it. */
import type * as Effect from "effect/Effect"
import { ChevronsUp, Pause, Play, X } from "lucide-react"
import { useState } from "react"
import { isOver, type Transfer } from "../../schema/Offer.ts"
import { inert } from "../../schema/Text.ts"
import { ask, type Client } from "../state/Client.ts"
import { tell } from "../state/Notices.ts"
import { IconButton } from "./Button.tsx"

/** States in which something may move, and so may be held. */
const holdable: ReadonlySet<Transfer["state"]> = new Set(["queued", "waiting", "running", "stalled"])

const act = async <A, E>(question: (client: Client) => Effect.Effect<A, E>) => {
  const answer = await ask(question)
  if (!answer.ok) tell("problem", answer.problem)
}

export const TransferControls = ({ transfer }: { readonly transfer: Transfer }) => {
  const [sure, setSure] = useState(false)
  if (isOver(transfer.state)) return null
  const name = inert(transfer.name)
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
