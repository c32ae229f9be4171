/** One line of the list of peers. Files dropped on it are for that peer. */
import { Users } from "lucide-react"
import { memo, type ReactNode, useState } from "react"
import type { Peer } from "../../schema/Peer.ts"
import { carriesFiles, receiveDrop } from "../state/Dropping.ts"
import type { Conversation } from "../state/Model.ts"
import { talkTo } from "../state/View.ts"
import { statusOf } from "../text/status.ts"
import { Avatar } from "./Avatar.tsx"
import { Count } from "./Count.tsx"
import { PeerName } from "./PeerName.tsx"
import { Presence } from "./Presence.tsx"

const Row = ({
  to,
  picture,
  title,
  line,
  selected,
  unread
}: {
  readonly to: Conversation
  readonly picture: ReactNode
  readonly title: ReactNode
  readonly line: string
  readonly selected: boolean
  readonly unread: number
}) => {
  const [over, setOver] = useState(false)
  return (
    <button
      type="button"
      aria-current={selected ? "true" : undefined}
      onClick={() => talkTo(to)}
      onDragOver={(event) => {
        if (!carriesFiles(event.dataTransfer)) return
        event.preventDefault()
        event.stopPropagation()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        event.stopPropagation()
        setOver(false)
        void receiveDrop(event.dataTransfer, to)
      }}
      className={`flex h-15 w-full items-center gap-3 rounded-xl px-3 text-left transition-colors ${over ? "bg-accent-soft outline-2 outline-accent outline-dashed" : selected ? "bg-accent-soft text-accent-ink" : "hover:bg-sunken"}`}
    >
      {picture}
      <span className="min-w-0 flex-1">
        <span className={`flex ${unread > 0 ? "font-semibold" : "font-medium"}`}>{title}</span>
        <span className={`block truncate text-sm ${selected ? "" : "text-muted"}`}>{line}</span>
      </span>
      {unread > 0 && <Count value={unread} meaning="unread" />}
    </button>
  )
}

export const EveryoneRow = (props: {
  readonly connected: number
  readonly selected: boolean
  readonly unread: number
}) => (
  <Row
    to="everyone"
    picture={
      <span aria-hidden className="grid size-10 shrink-0 place-items-center rounded-xl bg-accent text-on-accent">
        <Users size={20} />
      </span>
    }
    title="Everyone"
    line={
      props.connected === 0
        ? "Nobody is connected"
        : props.connected === 1
          ? "1 connected"
          : `${props.connected} connected`
    }
    selected={props.selected}
    unread={props.unread}
  />
)

export const PeerRow = memo(
  (props: { readonly peer: Peer; readonly selected: boolean; readonly unread: number; readonly now: number }) => (
    <Row
      to={props.peer.id}
      picture={
        <span className="relative flex shrink-0">
          <Avatar id={props.peer.id} />
          <span className="absolute -right-1 -bottom-1">
            <Presence peer={props.peer} />
          </span>
        </span>
      }
      title={<PeerName peer={props.peer} />}
      line={statusOf(props.peer, props.now)}
      selected={props.selected}
      unread={props.unread}
    />
  )
)
