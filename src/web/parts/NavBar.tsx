/** On a narrow screen: the three rooms, one at a time, with what waits in each. */
import { ArrowDownUp, MessageCircle, Users } from "lucide-react"
import { registry, useAtomValue } from "../state/atoms.ts"
import { offers, underway, unreadTotal } from "../state/Attention.ts"
import { pane, type Pane } from "../state/View.ts"
import { Count } from "./Count.tsx"

export const NavBar = () => {
  const shown = useAtomValue(pane)
  const waiting = useAtomValue(offers).length
  const running = useAtomValue(underway).length
  const unread = useAtomValue(unreadTotal)
  const rooms: ReadonlyArray<readonly [Pane, string, typeof Users, number, string]> = [
    ["peers", "Peers", Users, 0, ""],
    ["chat", "Chat", MessageCircle, unread, "unread"],
    ["transfers", "Transfers", ArrowDownUp, waiting > 0 ? waiting : running, waiting > 0 ? "offered" : "under way"]
  ]
  return (
    <nav
      aria-label="Rooms"
      className="grid grid-cols-3 border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] md:hidden"
    >
      {rooms.map(([name, label, Icon, count, meaning]) => (
        <button
          key={name}
          type="button"
          aria-current={shown === name ? "page" : undefined}
          onClick={() => registry.set(pane, name)}
          className={`relative flex min-h-14 flex-col items-center justify-center gap-0.5 text-xs font-medium ${shown === name ? "text-accent" : "text-muted"}`}
        >
          <span className="relative">
            <Icon size={22} aria-hidden />
            {count > 0 && <Count value={count} meaning={meaning} className="absolute -top-1.5 left-4" />}
          </span>
          {label}
        </button>
      ))}
    </nav>
  )
}
