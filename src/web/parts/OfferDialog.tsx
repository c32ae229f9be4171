/** An offer before it is answered: who, whether that is certain, what and how much, and what to do about names that exist. */
import { BadgeCheck, ShieldQuestion } from "lucide-react"
import { useState } from "react"
import type { ConflictPolicy, Transfer } from "../../schema/Offer.ts"
import type { Peer } from "../../schema/Peer.ts"
import { grouped, short } from "../../schema/PeerId.ts"
import { useAsk } from "../state/useAsk.ts"
import { show } from "../state/View.ts"
import { contents, moment, size } from "../text/format.ts"
import { stateWord } from "../text/transfers.ts"
import { Avatar } from "./Avatar.tsx"
import { Button } from "./Button.tsx"
import { Choice, type Option } from "./Choice.tsx"
import { Dialog } from "./Dialog.tsx"
import { Name } from "./PeerName.tsx"
import { Problems } from "./Problems.tsx"

const conflicts: ReadonlyArray<Option<ConflictPolicy>> = [
  { value: "rename", label: "Keep both", hint: "the new one gets a number" },
  { value: "skip", label: "Skip", hint: "what is the same stays" },
  { value: "overwrite", label: "Replace", hint: "the old one is gone" }
]

const Sender = ({ peer, transfer }: { readonly peer: Peer | undefined; readonly transfer: Transfer }) => (
  <div className="flex items-center gap-3">
    <Avatar id={transfer.peer} size={44} />
    <div className="min-w-0">
      <p className="flex text-lg font-semibold">
        <Name text={peer?.name ?? short(transfer.peer)} />
      </p>
      {peer?.trust === "verified" ? (
        <p className="flex items-center gap-1.5 text-sm text-accent">
          <BadgeCheck size={16} aria-hidden /> Verified: it is the machine you compared words with
        </p>
      ) : (
        <p className="flex items-center gap-1.5 text-sm text-warn">
          <ShieldQuestion size={16} className="shrink-0" aria-hidden /> Not verified: anyone may use this name
        </p>
      )}
      <p className="mt-1 font-mono text-xs break-all text-muted">{grouped(transfer.peer)}</p>
    </div>
  </div>
)

export const OfferDialog = ({
  onClose,
  peer,
  transfer
}: {
  readonly transfer: Transfer
  readonly peer: Peer | undefined
  readonly onClose: () => void
}) => {
  const [conflict, setConflict] = useState<ConflictPolicy>("rename")
  const { busy, problem, run } = useAsk()
  const open = transfer.state === "offered"
  const byId = { params: { id: transfer.id } }
  return (
    <Dialog
      title="An offer"
      onClose={onClose}
      footer={
        open ? (
          <>
            <Button
              look="plain"
              disabled={busy}
              onClick={() => void run((client) => client.transfers.decline(byId), onClose)}
            >
              Decline
            </Button>
            <Button
              look="main"
              busy={busy}
              onClick={() => void run((client) => client.transfers.accept({ ...byId, payload: { conflict } }), onClose)}
            >
              Accept
            </Button>
          </>
        ) : (
          <Button look="main" onClick={onClose}>
            Close
          </Button>
        )
      }
    >
      <Sender peer={peer} transfer={transfer} />
      {peer?.trust === "unverified" && peer.state === "connected" && open && (
        <button
          type="button"
          onClick={() => show({ _tag: "Verify", peer: peer.id })}
          className="mt-2 text-sm font-medium text-accent underline underline-offset-4"
        >
          Compare words with {short(peer.id)} first
        </button>
      )}
      <div className="mt-5 rounded-xl bg-sunken px-4 py-3">
        <p className="flex text-lg font-medium">
          <Name text={transfer.name} />
        </p>
        <p className="text-muted">
          {contents(transfer)}, {size(transfer.totalBytes)}
        </p>
        <p className="text-sm text-muted">{moment(transfer.startedAt)}</p>
      </div>
      {transfer.problemCount > 0 && (
        <Problems
          problems={transfer.problems}
          summary={`${transfer.problemCount} cannot be stored here and will be left out`}
        />
      )}
      {open ? (
        <div className="mt-5">
          <Choice label="Where a name exists already" options={conflicts} value={conflict} onChange={setConflict} />
        </div>
      ) : (
        <p role="status" className="mt-5 rounded-xl bg-warn-soft px-4 py-3 text-warn">
          This offer does not wait any more. It is: {stateWord(transfer)}.
        </p>
      )}
      {problem !== null && (
        <p role="alert" className="mt-4 text-danger">
          {problem}
        </p>
      )}
    </Dialog>
  )
}
