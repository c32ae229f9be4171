/** Who is there: this node, everyone, and each peer; and the way to more of them. */
import { Search, Settings, UserPlus } from "lucide-react"
import { useState } from "react"
import { useAtomValue } from "../state/atoms.ts"
import { model } from "../state/Live.ts"
import { show } from "../state/View.ts"
import { searchFrom } from "../text/peers.ts"
import { Avatar } from "./Avatar.tsx"
import { Button, IconButton } from "./Button.tsx"
import { PeerList } from "./PeerList.tsx"
import { Name } from "./PeerName.tsx"

export const Sidebar = () => {
  const known = useAtomValue(model)
  const [query, setQuery] = useState("")
  if (known === null) return null
  return (
    <>
      <header className="flex items-center gap-3 px-4 pt-5 pb-4">
        <Avatar id={known.node.id} size={44} />
        <div className="min-w-0 flex-1">
          <h2 className="flex text-lg leading-6 font-semibold">
            <Name text={known.node.name} />
          </h2>
          <p className="truncate font-mono text-xs text-muted" title={known.node.fingerprint}>
            {known.node.fingerprint.slice(0, 9)}
          </p>
        </div>
        <IconButton label="Settings" onClick={() => show({ _tag: "Settings" })}>
          <Settings size={20} aria-hidden />
        </IconButton>
      </header>
      {known.peers.size >= searchFrom && (
        <div className="relative px-4 pb-3">
          <Search size={16} className="absolute top-3 left-7 text-muted" aria-hidden />
          <input
            type="search"
            aria-label="Search peers"
            placeholder="Search peers"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            className="min-h-10 w-full rounded-xl border border-line bg-sunken pr-3 pl-9 text-base"
          />
        </div>
      )}
      <PeerList query={query} />
      <footer className="p-4">
        <Button className="w-full" onClick={() => show({ _tag: "Add" })}>
          <UserPlus size={18} aria-hidden />
          Add a peer
        </Button>
      </footer>
    </>
  )
}
