/** Connects by a ticket that the other side made: each has verified the other then. */
import { useId, useState } from "react"
import { inert } from "../../schema/Text.ts"
import { tell } from "../state/Notices.ts"
import { useAsk } from "../state/useAsk.ts"
import { Button } from "./Button.tsx"

export const JoinByTicket = ({ onDone }: { readonly onDone: () => void }) => {
  const id = useId()
  const [ticket, setTicket] = useState("")
  const { busy, clear, problem, run } = useAsk()
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void run(
          (client) => client.trust.join({ payload: { ticket: ticket.trim() } }),
          (peer) => {
            tell("done", `Connected to ${inert(peer.name)}; both sides are verified.`)
            onDone()
          }
        )
      }}
    >
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        Ticket
      </label>
      <textarea
        id={id}
        rows={4}
        required
        spellCheck={false}
        placeholder="kith1:…"
        value={ticket}
        onChange={(event) => {
          setTicket(event.target.value)
          clear()
        }}
        aria-invalid={problem !== null || undefined}
        className="block w-full resize-none rounded-xl border border-edge bg-raised px-3.5 py-2.5 font-mono text-sm"
      />
      {problem === null ? (
        <p className="mt-1.5 text-sm text-muted">
          The other side makes it under “Invite”, or with kith invite. It is good once.
        </p>
      ) : (
        <p role="alert" className="mt-1.5 text-sm text-danger">
          {problem}
        </p>
      )}
      <Button type="submit" look="main" className="mt-4 w-full" busy={busy} disabled={ticket.trim() === ""}>
        {busy ? "Connecting…" : "Join"}
      </Button>
    </form>
  )
}
