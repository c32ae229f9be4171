/** Everyone and each peer, the reachable first; as many as there are, drawn only where they are seen. */
import { useVirtualizer } from "@tanstack/react-virtual"
import { Radar } from "lucide-react"
import { useMemo, useRef } from "react"
import { useAtomValue } from "../state/atoms.ts"
import { model } from "../state/Live.ts"
import { unread } from "../state/Reading.ts"
import { useNow } from "../state/useNow.ts"
import { conversation, show } from "../state/View.ts"
import { found } from "../text/peers.ts"
import { Empty } from "./Empty.tsx"
import { EveryoneRow, PeerRow } from "./PeerRow.tsx"

export const PeerList = ({ query }: { readonly query: string }) => {
  const known = useAtomValue(model)
  const selected = useAtomValue(conversation)
  const counts = useAtomValue(unread)
  const now = useNow()
  const scroller = useRef<HTMLDivElement>(null)
  const peers = known?.peers
  const shown = useMemo(() => found(peers?.values() ?? [], query), [peers, query])
  const everyone = query.trim() === "" ? 1 : 0
  const rows = useVirtualizer({
    count: shown.length + everyone,
    getScrollElement: () => scroller.current,
    estimateSize: () => 64,
    overscan: 8,
    getItemKey: (at) => (at < everyone ? "everyone" : (shown[at - everyone]?.id ?? at))
  })
  const connected = shown.filter((peer) => peer.state === "connected").length
  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto px-2">
      <ul style={{ height: rows.getTotalSize() }} className="relative" aria-label="Conversations">
        {rows.getVirtualItems().map((row) => {
          const peer = row.index < everyone ? undefined : shown[row.index - everyone]
          return (
            <li
              key={row.key}
              style={{ transform: `translateY(${row.start}px)`, height: row.size }}
              className="absolute inset-x-0 top-0"
              aria-setsize={shown.length + everyone}
              aria-posinset={row.index + 1}
            >
              {peer === undefined ? (
                <EveryoneRow
                  connected={connected}
                  selected={selected === "everyone"}
                  unread={counts.get("everyone") ?? 0}
                />
              ) : (
                <PeerRow peer={peer} selected={selected === peer.id} unread={counts.get(peer.id) ?? 0} now={now} />
              )}
            </li>
          )
        })}
      </ul>
      {shown.length === 0 &&
        (query.trim() === "" ? (
          <Empty icon={Radar} title="Nobody yet">
            <p>Nodes on this network appear here by themselves, within a few seconds.</p>
            <button
              type="button"
              className="mt-3 font-medium text-accent underline underline-offset-4"
              onClick={() => show({ _tag: "Diagnostics" })}
            >
              Why is nobody found?
            </button>
          </Empty>
        ) : (
          <p className="px-4 py-6 text-center text-muted">No peer by that name.</p>
        ))}
    </div>
  )
}
