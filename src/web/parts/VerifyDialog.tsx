/** Two people compare four words: the same on both screens means that nobody stands between the two machines. */
import { BadgeCheck, Equal, EqualNot, ShieldAlert } from "lucide-react"
import { useEffect } from "react"
import type { Peer } from "../../schema/Peer.ts"
import { inert } from "../../schema/Text.ts"
import { isOver, type Verification } from "../../schema/Verification.ts"
import { useAtomValue } from "../state/atoms.ts"
import { ask } from "../state/Client.ts"
import { model } from "../state/Live.ts"
import { useAsk } from "../state/useAsk.ts"
import { Button } from "./Button.tsx"
import { Dialog } from "./Dialog.tsx"

const Words = ({ words }: { readonly words: ReadonlyArray<string> }) => (
  <ol className="my-5 grid gap-2 sm:grid-cols-2" aria-label="The words">
    {words.map((word, at) => (
      <li
        key={`${at} ${word}`}
        className="flex items-baseline gap-3 rounded-xl bg-accent-soft px-4 py-3 text-accent-ink"
      >
        <span className="text-sm tabular-nums">{at + 1}</span>
        <span className="text-xl font-semibold">{word}</span>
      </li>
    ))}
  </ol>
)

/** What is over, in a word and a picture. */
const Outcome = ({ verification }: { readonly verification: Verification }) => {
  const { reason, state } = verification
  const good = state === "verified"
  const Icon = good ? BadgeCheck : ShieldAlert
  const title = good
    ? "Verified"
    : state === "mismatch"
      ? "The words are not the same"
      : state === "expired"
        ? "Nobody answered in time"
        : "It was ended"
  return (
    <div
      role="status"
      className={`rounded-xl p-5 ${good ? "bg-accent-soft text-accent-ink" : "bg-danger-soft text-danger"}`}
    >
      <p className="flex items-center gap-2.5 text-lg font-semibold">
        <Icon size={24} aria-hidden />
        {title}
      </p>
      <p className="mt-1.5">
        {good
          ? "From now on this key is known: another machine under this name will be noticed."
          : state === "mismatch"
            ? "Someone may stand between the two machines. Send nothing that matters, and try again on another network."
            : inert(reason ?? "")}
      </p>
    </div>
  )
}

export const VerifyDialog = ({ onClose, peer }: { readonly peer: Peer; readonly onClose: () => void }) => {
  const known = useAtomValue(model)
  const { busy, problem, run } = useAsk()
  const newest = [...(known?.verifications.values() ?? [])].findLast((verification) => verification.peer === peer.id)
  useEffect(() => {
    // Begins, or joins the one that the peer began.
    void run((client) => client.trust.verify({ params: { id: peer.id } }))
  }, [peer.id, run])
  const live = newest !== undefined && !isOver(newest.state)
  const close = () => {
    if (live && newest.state !== "confirmed") {
      void ask((client) => client.trust.cancel({ params: { id: newest.id } }))
    }
    onClose()
  }
  const answer = (same: boolean) => {
    if (newest === undefined) return
    void run((client) => client.trust.answer({ params: { id: newest.id }, payload: { same } }))
  }
  const comparing = newest?.state === "comparing"
  return (
    <Dialog
      title={`Verify ${inert(peer.name)}`}
      onClose={close}
      footer={
        comparing ? (
          <>
            <Button look="danger" disabled={busy} onClick={() => answer(false)}>
              <EqualNot size={18} aria-hidden />
              They differ
            </Button>
            <Button look="main" busy={busy} onClick={() => answer(true)}>
              <Equal size={18} aria-hidden />
              They are the same
            </Button>
          </>
        ) : (
          <Button onClick={close}>{live ? "Stop" : "Close"}</Button>
        )
      }
    >
      {problem !== null && !live ? (
        <p role="alert" className="text-danger">
          {problem}
        </p>
      ) : newest === undefined || newest.state === "waiting" ? (
        <p role="status" className="breathe text-muted">
          Waiting for the other side…
        </p>
      ) : isOver(newest.state) ? (
        <Outcome verification={newest} />
      ) : (
        <>
          <p>Look at the other screen, or read the words aloud to each other. Are they the same, in the same order?</p>
          <Words words={newest.words} />
          {newest.state === "confirmed" && (
            <p role="status" className="breathe text-muted">
              You said yes. Waiting for the other side to say so too…
            </p>
          )}
        </>
      )}
    </Dialog>
  )
}
