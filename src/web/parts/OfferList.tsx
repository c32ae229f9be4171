/**
 * What is in an offer, to be looked through and ticked. Directories unfold; a search shows what it finds wherever it
 * is. Only rows on the screen are drawn. Arrow keys go from row to row, and fold and unfold.
 */
import { useVirtualizer } from "@tanstack/react-virtual"
import { ChevronRight, File, Folder } from "lucide-react"
import { type KeyboardEvent, useMemo, useRef, useState } from "react"
import { inert } from "../../schema/Text.ts"
import {
  matching,
  type Node,
  onlyTicked,
  type Tick,
  ticks,
  type Unticked,
  visible,
  withTick
} from "../state/OfferTree.ts"
import { count, size } from "../text/format.ts"
import { Button } from "./Button.tsx"

const rowHeight = 36
const searchFrom = 12

/** A directory with less than this in it stands open from the beginning. */
const openBelow = 12

const openAtFirst = (top: Node): ReadonlySet<string> => {
  const [only] = top.children
  return new Set(top.children.length === 1 && only !== undefined && only.children.length < openBelow ? [only.path] : [])
}

const Row = ({
  flat,
  isOpen,
  node,
  onFold,
  onTick,
  tick
}: {
  readonly node: Node
  readonly tick: Tick
  readonly isOpen: boolean
  /** Found by a search: its whole path is shown, and nothing unfolds. */
  readonly flat: boolean
  readonly onFold: (open: boolean) => void
  readonly onTick: (wanted: boolean) => void
}) => {
  const name = inert(flat ? node.path : node.name)
  const folds = !flat && node.children.length > 0
  return (
    <div
      className="flex h-9 items-center gap-2 rounded-lg pr-3 hover:bg-sunken"
      style={{ paddingLeft: `${(flat ? 0 : Math.min(node.depth, 12)) * 1.125 + 0.25}rem` }}
    >
      {folds ? (
        <button
          type="button"
          tabIndex={-1}
          aria-expanded={isOpen}
          aria-label={`${isOpen ? "Fold" : "Unfold"} ${name}`}
          onClick={() => onFold(!isOpen)}
          className="grid size-7 shrink-0 place-items-center rounded-md text-muted hover:text-ink"
        >
          <ChevronRight size={16} className={isOpen ? "rotate-90" : ""} aria-hidden />
        </button>
      ) : (
        <span className="size-7 shrink-0" />
      )}
      <input
        type="checkbox"
        aria-label={name}
        disabled={node.leftOut !== null}
        checked={tick === "all"}
        ref={(box) => {
          if (box !== null) box.indeterminate = tick === "some"
        }}
        onChange={() => onTick(tick !== "all")}
        onKeyDown={(event) => {
          if (!folds || (event.key !== "ArrowRight" && event.key !== "ArrowLeft")) return
          event.preventDefault()
          onFold(event.key === "ArrowRight")
        }}
        className="size-4.5 shrink-0 accent-accent"
      />
      {node.kind === "d" ? (
        <Folder size={17} className="shrink-0 text-accent" aria-label="Folder" />
      ) : (
        <File size={17} className="shrink-0 text-muted" aria-label="File" />
      )}
      <bdi
        className={`min-w-0 flex-1 truncate text-sm ${node.leftOut === null ? "" : "text-muted line-through"}`}
        title={name}
      >
        {name}
      </bdi>
      {node.leftOut === null ? (
        <span className="shrink-0 text-sm text-muted tabular-nums">{size(node.size)}</span>
      ) : (
        <span className="max-w-[50%] shrink-0 truncate text-sm text-warn" title={inert(node.leftOut)}>
          {inert(node.leftOut)}
        </span>
      )}
    </div>
  )
}

/** Up and down go to the row above and below, as far as rows are drawn. */
const walk = (event: KeyboardEvent<HTMLElement>): void => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return
  const boxes = [...event.currentTarget.querySelectorAll<HTMLInputElement>("input:not(:disabled)")]
  const at = boxes.findIndex((box) => box === document.activeElement)
  if (at < 0) return
  event.preventDefault()
  boxes[at + (event.key === "ArrowDown" ? 1 : -1)]?.focus()
}

export const OfferList = ({
  onChange,
  top,
  unticked
}: {
  readonly top: Node
  readonly unticked: Unticked
  readonly onChange: (next: Unticked) => void
}) => {
  const [open, setOpen] = useState(() => openAtFirst(top))
  const [words, setWords] = useState("")
  const searching = words.trim() !== ""
  const known = useMemo(() => ticks(top, unticked), [top, unticked])
  const rows = useMemo(() => (searching ? matching(top, words) : visible(top, open)), [top, open, words, searching])
  const scroller = useRef<HTMLDivElement>(null)
  const drawn = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 10,
    getItemKey: (at) => rows[at]?.path ?? at
  })
  return (
    <section aria-label="What is offered" className="mt-2 overflow-hidden rounded-xl border border-line bg-raised">
      {known.size > searchFrom && (
        <div className="flex flex-wrap items-center gap-2 border-b border-line p-2">
          <input
            type="search"
            aria-label="Search the list"
            placeholder="Search the list"
            value={words}
            onChange={(event) => setWords(event.target.value)}
            className="min-h-9 min-w-40 flex-1 rounded-lg border border-edge bg-raised px-3 text-base"
          />
          {searching ? (
            <Button
              className="min-h-9"
              disabled={rows.length === 0}
              onClick={() => {
                const found = new Set(rows.map(({ path }) => path))
                onChange(onlyTicked(top, ({ path }) => found.has(path)))
              }}
            >
              Take only {rows.length === 1 ? "this" : `these ${count(rows.length)}`}
            </Button>
          ) : (
            <Button className="min-h-9" onClick={() => onChange(withTick(unticked, top, known.get("") !== "all"))}>
              {known.get("") === "all" ? "Tick none" : "Tick all"}
            </Button>
          )}
        </div>
      )}
      {rows.length === 0 && <p className="px-4 py-5 text-center text-sm text-muted">Nothing in it has this name.</p>}
      <div ref={scroller} className="max-h-64 overflow-y-auto p-1" onKeyDown={walk}>
        <ul style={{ height: drawn.getTotalSize() }} className="relative">
          {drawn.getVirtualItems().map((row) => {
            const node = rows[row.index]
            if (node === undefined) return null
            return (
              <li
                key={row.key}
                className="absolute inset-x-0 top-0"
                style={{ transform: `translateY(${row.start}px)` }}
                aria-setsize={rows.length}
                aria-posinset={row.index + 1}
              >
                <Row
                  node={node}
                  flat={searching}
                  tick={known.get(node.path) ?? "none"}
                  isOpen={open.has(node.path)}
                  onTick={(wanted) => onChange(withTick(unticked, node, wanted))}
                  onFold={(unfold) => {
                    const next = new Set(open)
                    if (unfold) next.add(node.path)
                    else next.delete(node.path)
                    setOpen(next)
                  }}
                />
              </li>
            )
          })}
        </ul>
      </div>
    </section>
  )
}
