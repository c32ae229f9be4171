/** Who is to get something: a list to tick, which can be searched where it is long. */
import { useId, useState } from "react"
import type { Peer } from "../../schema/Peer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { useNow } from "../state/useNow.ts"
import { found, searchFrom } from "../text/peers.ts"
import { statusOf } from "../text/status.ts"
import { Avatar } from "./Avatar.tsx"
import { PeerName } from "./PeerName.tsx"

const shownMax = 100

export const Receivers = ({
  chosen,
  onChange,
  peers
}: {
  readonly peers: ReadonlyArray<Peer>
  readonly chosen: ReadonlySet<PeerId>
  readonly onChange: (chosen: ReadonlySet<PeerId>) => void
}) => {
  const id = useId()
  const now = useNow()
  const [query, setQuery] = useState("")
  const toggle = (peer: PeerId) => {
    const next = new Set(chosen)
    if (!next.delete(peer)) next.add(peer)
    onChange(next)
  }
  return (
    <fieldset className="mt-5">
      <legend className="mb-1.5 text-sm font-medium">To</legend>
      {peers.length >= searchFrom && (
        <input
          type="search"
          aria-label="Search peers"
          placeholder="Search peers"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          className="mb-2 min-h-10 w-full rounded-xl border border-edge bg-raised px-3.5 text-base"
        />
      )}
      {peers.length === 0 && <p className="text-muted">No peer is known yet.</p>}
      <ul className="max-h-64 overflow-y-auto">
        {found(peers, query)
          .slice(0, shownMax)
          .map((peer) => (
            <li key={peer.id}>
              <label
                htmlFor={`${id} ${peer.id}`}
                className="flex min-h-13 items-center gap-3 rounded-xl px-2 hover:bg-sunken"
              >
                <input
                  id={`${id} ${peer.id}`}
                  type="checkbox"
                  aria-label={inert(peer.name)}
                  checked={chosen.has(peer.id)}
                  onChange={() => toggle(peer.id)}
                  className="size-5 accent-accent"
                />
                <Avatar id={peer.id} size={32} />
                <span className="min-w-0 flex-1">
                  <PeerName peer={peer} className="font-medium" />
                  <span className="block truncate text-sm text-muted">
                    {peer.state === "connected"
                      ? statusOf(peer, now)
                      : `${statusOf(peer, now)}: it is offered when it is back`}
                  </span>
                </span>
              </label>
            </li>
          ))}
      </ul>
    </fieldset>
  )
}
