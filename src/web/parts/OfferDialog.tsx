/**
 * An offer before it is answered: who, whether that is certain, the whole list, how much of how much room, where it
 * goes, and what to do about names that exist. A part of it can be taken. One that is over while it is read says so.
 */
import { Hourglass } from "lucide-react"
import { useMemo, useState } from "react"
import type { NodeInfo } from "../../schema/ApiNode.ts"
import type { ConflictPolicy, Transfer } from "../../schema/Offer.ts"
import type { Peer } from "../../schema/Peer.ts"
import { inert } from "../../schema/Text.ts"
import { build, entriesReadMax, ranges, sum, type Unticked } from "../state/OfferTree.ts"
import { useAsk } from "../state/useAsk.ts"
import { useEntries } from "../state/useEntries.ts"
import { capital, contents, count, moment, size } from "../text/format.ts"
import { overWord } from "../text/transfers.ts"
import { Button } from "./Button.tsx"
import { Choice, type Option } from "./Choice.tsx"
import { Dialog } from "./Dialog.tsx"
import { OfferList } from "./OfferList.tsx"
import { OfferSender } from "./OfferSender.tsx"
import { Name } from "./PeerName.tsx"
import { Problems } from "./Problems.tsx"

const conflicts: ReadonlyArray<Option<ConflictPolicy>> = [
  { value: "rename", label: "Keep both", hint: "under another name" },
  { value: "skip", label: "Skip", hint: "what is the same stays" },
  { value: "overwrite", label: "Replace", hint: "the old one is gone" }
]

const everything: Unticked = new Set()

/** What is offered, and where it would go. */
const Summary = ({ folder, transfer }: { readonly transfer: Transfer; readonly folder: string }) => {
  const free = transfer.freeBytes
  const short = free !== undefined && free < transfer.totalBytes
  return (
    <div className="mt-5 rounded-xl bg-sunken px-4 py-3">
      <p className="flex text-lg font-medium">
        <Name text={transfer.name} />
      </p>
      <p className="tabular-nums">
        {contents(transfer)}, {size(transfer.totalBytes)}
      </p>
      <dl className="mt-2 grid gap-x-4 gap-y-0.5 text-sm sm:grid-cols-[auto_minmax(0,1fr)]">
        <dt className="text-muted">Goes to</dt>
        <dd className="truncate font-mono text-xs leading-5" title={inert(folder)}>
          <bdi>{inert(folder)}</bdi>
        </dd>
        {free !== undefined && (
          <>
            <dt className="text-muted">Free there</dt>
            <dd className={short ? "font-semibold text-danger" : ""}>
              {size(free)}
              {short && ": not enough for all of it"}
            </dd>
          </>
        )}
        <dt className="text-muted">Offered</dt>
        <dd>{moment(transfer.startedAt)}</dd>
      </dl>
    </div>
  )
}

/** An offer that was answered, taken back or too old by the time it was read. */
const Over = ({ transfer }: { readonly transfer: Transfer }) => {
  const { text, title } = overWord(transfer)
  return (
    <div role="status" className="mt-5 flex gap-3 rounded-xl bg-warn-soft px-4 py-3.5 text-warn">
      <Hourglass size={20} className="mt-0.5 shrink-0" aria-hidden />
      <div>
        <p className="font-semibold">{title}</p>
        <p className="text-sm">{transfer.error === null ? text : capital(inert(transfer.error))}</p>
      </div>
    </div>
  )
}

export const OfferDialog = ({
  node,
  onClose,
  peer,
  transfer
}: {
  readonly transfer: Transfer
  readonly peer: Peer | undefined
  readonly node: NodeInfo
  readonly onClose: () => void
}) => {
  const [conflict, setConflict] = useState<ConflictPolicy>("rename")
  const [unticked, setUnticked] = useState(everything)
  const { busy, problem, run } = useAsk()
  const entries = useEntries(transfer.id, transfer.state === "offered" && transfer.listed !== false)
  const top = useMemo(() => build(entries.items), [entries.items])
  const isOpen = transfer.state === "offered"
  const isPart = unticked.size > 0
  const taken = useMemo(() => sum(top, unticked), [top, unticked])
  const part = useMemo(() => (isPart ? ranges(top, unticked) : []), [top, unticked, isPart])
  const byId = { params: { id: transfer.id } }
  const accept = () =>
    void run(
      (client) => client.transfers.accept({ ...byId, payload: { conflict, ...(isPart && { ranges: part }) } }),
      onClose
    )
  return (
    <Dialog
      title="An offer"
      wide
      onClose={onClose}
      footer={
        isOpen ? (
          <>
            <Button
              look="plain"
              disabled={busy}
              onClick={() => void run((client) => client.transfers.decline(byId), onClose)}
            >
              Decline
            </Button>
            <Button look="main" busy={busy} disabled={isPart && part.length === 0} onClick={accept}>
              {isPart ? `Accept ${contents({ files: taken.files, directories: 0 })}, ${size(taken.bytes)}` : "Accept"}
            </Button>
          </>
        ) : (
          <Button look="main" onClick={onClose}>
            Close
          </Button>
        )
      }
    >
      <OfferSender peer={peer} transfer={transfer} />
      {!isOpen && <Over transfer={transfer} />}
      <Summary transfer={transfer} folder={node.received} />
      {transfer.problemCount > 0 && (
        <Problems
          problems={transfer.problems}
          summary={`${count(transfer.problemCount)} cannot be stored here and will be left out`}
        />
      )}
      {isOpen && !entries.complete && (
        <p role="status" className="breathe mt-4 text-sm text-muted">
          Reading the list…
        </p>
      )}
      {isOpen && entries.problem !== null && (
        <p role="alert" className="mt-4 text-sm text-danger">
          The list cannot be shown. {entries.problem}
        </p>
      )}
      {isOpen && entries.items.length > 0 && (
        <div className="mt-5">
          <h3 className="text-sm font-medium">What to take</h3>
          <OfferList top={top} unticked={unticked} onChange={setUnticked} />
          {entries.truncated && (
            <p className="mt-2 text-sm text-muted">
              The first {count(entriesReadMax)} are shown. With all ticked everything is taken, the rest too; else only
              what is ticked.
            </p>
          )}
        </div>
      )}
      {isOpen && (
        <div className="mt-5">
          <Choice label="Where a name exists already" options={conflicts} value={conflict} onChange={setConflict} />
        </div>
      )}
      {problem !== null && (
        <p role="alert" className="mt-4 text-danger">
          {problem}
        </p>
      )}
    </Dialog>
  )
}
