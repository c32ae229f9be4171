/** One transfer: what, with whom, how far, how fast, how long yet; what can be done about it, and where it is now. */
import { ArrowDown, ArrowUp, Check, CircleAlert, X } from "lucide-react"
import { memo } from "react"
import { isOver, problemsOf, type Transfer } from "../../schema/Offer.ts"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { useAtomValue } from "../state/atoms.ts"
import { model } from "../state/Live.ts"
import { capital, contents, count, size, span, speed } from "../text/format.ts"
import { alreadyWord, stateWord } from "../text/transfers.ts"
import { Name } from "./PeerName.tsx"
import { Problems } from "./Problems.tsx"
import { Progress } from "./Progress.tsx"
import { Published } from "./Published.tsx"
import { TransferControls } from "./TransferControls.tsx"

const Picture = ({ transfer: { direction, state } }: { readonly transfer: Transfer }) => {
  const [Icon, look] =
    state === "done"
      ? [Check, "bg-accent-soft text-accent-ink"]
      : state === "failed" || state === "partial"
        ? [CircleAlert, "bg-danger-soft text-danger"]
        : state === "cancelled" || state === "declined"
          ? [X, "bg-sunken text-muted"]
          : direction === "send"
            ? [ArrowUp, "bg-accent-soft text-accent-ink"]
            : [ArrowDown, "bg-accent-soft text-accent-ink"]
  return (
    <span aria-hidden className={`grid size-9 shrink-0 place-items-center rounded-xl ${look}`}>
      <Icon size={18} />
    </span>
  )
}

const renamedShown = 3

/** How far and how fast, in one line. */
const figures = (transfer: Transfer): ReadonlyArray<string> => {
  const { bytes, bytesPerSecond, files, filesDone, secondsLeft, state, totalBytes } = transfer
  if (isOver(state)) return [contents(transfer), size(totalBytes)]
  return [
    transfer.listing === true ? `${count(files)} files found so far` : "",
    bytes === 0 ? size(totalBytes) : `${size(bytes)} of ${size(totalBytes)}`,
    state === "running" && bytesPerSecond > 0 ? speed(bytesPerSecond) : "",
    typeof secondsLeft === "number" ? `${span(secondsLeft)} left` : "",
    files > 1 && filesDone !== undefined && bytes > 0 ? `${count(filesDone)} of ${count(files)} files` : ""
  ].filter((part) => part !== "")
}

/** What is called otherwise here, since its name was taken. */
const Renamed = ({ names }: { readonly names: NonNullable<Transfer["renamed"]> }) => (
  <ul className="mt-2 text-sm text-muted" aria-label="Renamed">
    {names.slice(0, renamedShown).map(({ name, path }) => (
      <li key={path} className="flex min-w-0 gap-1">
        <Name text={path} /> <span className="shrink-0">is here as</span>{" "}
        <Name text={name} className="font-medium text-ink" />
      </li>
    ))}
    {names.length > renamedShown && <li>and {names.length - renamedShown} more under other names</li>}
  </ul>
)

export const TransferCard = memo(({ transfer }: { readonly transfer: Transfer }) => {
  const peer = useAtomValue(model)?.peers.get(transfer.peer)
  const over = isOver(transfer.state)
  const moving = transfer.state === "running"
  // What a person ended is no fault.
  const isEnded = transfer.state === "cancelled" || transfer.state === "declined"
  const name = peer?.name ?? short(transfer.peer)
  const [failed, leftOut] = [problemsOf(transfer, "failed"), problemsOf(transfer, "leftOut")]
  return (
    <article
      aria-label={`${inert(transfer.name)}, ${stateWord(transfer)}`}
      className="rounded-card border border-line bg-raised p-4"
    >
      <div className="flex items-start gap-3">
        <Picture transfer={transfer} />
        <div className="min-w-0 flex-1">
          <p className="flex font-medium">
            <Name text={transfer.name} />
          </p>
          <p className="flex min-w-0 gap-1 text-sm text-muted">
            <span className="shrink-0">{transfer.direction === "send" ? "to" : "from"}</span>
            <Name text={name} />
          </p>
        </div>
        <TransferControls transfer={transfer} />
      </div>
      {!over && (
        <div className="mt-3">
          <Progress
            label={`${inert(transfer.name)}: progress`}
            value={transfer.totalBytes === 0 ? (moving ? undefined : 0) : transfer.bytes / transfer.totalBytes}
            look={moving ? "running" : "resting"}
          />
        </div>
      )}
      <p className={`${over ? "mt-1 pl-12" : "mt-2"} flex flex-wrap gap-x-3 text-sm text-muted tabular-nums`}>
        <span className="font-medium text-ink">{stateWord(transfer)}</span>
        {figures(transfer).map((part) => (
          <span key={part}>{part}</span>
        ))}
      </p>
      {transfer.error !== null && (
        <p className={`mt-1 text-sm break-words ${over ? "pl-12" : ""} ${isEnded ? "text-muted" : "text-danger"}`}>
          {capital(inert(transfer.error))}
        </p>
      )}
      {failed.count > 0 && <Problems problems={failed.named} summary={`${count(failed.count)} failed`} />}
      {leftOut.count > 0 && <Problems problems={leftOut.named} summary={`${count(leftOut.count)} left out`} />}
      {transfer.skipped !== undefined && (
        <p className="mt-1 text-sm text-muted">{alreadyWord(transfer.direction, transfer.skipped)}</p>
      )}
      {transfer.direction === "receive" && transfer.renamed !== undefined && transfer.renamed.length > 0 && (
        <Renamed names={transfer.renamed} />
      )}
      {transfer.notTaken !== undefined && transfer.notTaken.count > 0 && (
        <p className="mt-1 text-sm text-muted">{count(transfer.notTaken.count)} not taken</p>
      )}
      {transfer.direction === "receive" && transfer.published.length > 0 && <Published paths={transfer.published} />}
    </article>
  )
})
