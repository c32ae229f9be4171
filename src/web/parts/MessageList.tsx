/**
 * Messages with a line before each new day; only those on the screen are drawn, however many there are. The list stays
 * at its end while the person is there, and says so where something new came below.
 */
import { useVirtualizer } from "@tanstack/react-virtual"
import { ArrowDown, MessageCircle, SearchX } from "lucide-react"
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import type { Message as View } from "../../schema/Message.ts"
import { type Conversation, hasOlder, type Model } from "../state/Model.ts"
import { readOlder } from "../state/Older.ts"
import { see } from "../state/Reading.ts"
import { useNow } from "../state/useNow.ts"
import { day, sameDay } from "../text/format.ts"
import { Empty } from "./Empty.tsx"
import { Message } from "./Message.tsx"

/** Messages of one author within this time stand together. */
const togetherMillis = 5 * 60_000

/** As far from the end as still counts as being there, in pixels. */
const nearEnd = 80

/** This many messages from the first that is known, what came before it is asked for. */
const nearStart = 20

interface Item {
  readonly message: View
  /** The day, where another one begins. */
  readonly newDay: boolean
  readonly first: boolean
}

const itemsOf = (messages: ReadonlyArray<View>): ReadonlyArray<Item> =>
  messages.map((message, at) => {
    const before = messages[at - 1]
    const newDay = before === undefined || !sameDay(before.sentAt, message.sentAt)
    const together = !newDay && before.from === message.from && message.sentAt - before.sentAt < togetherMillis
    return { message, newDay, first: !together }
  })

export const MessageList = ({
  messages,
  model,
  searching = false,
  to
}: {
  readonly messages: ReadonlyArray<View>
  readonly model: Model
  readonly to: Conversation
  /** These were searched for: they are not the end of the conversation, and not read by being shown. */
  readonly searching?: boolean
}) => {
  const now = useNow()
  const scroller = useRef<HTMLDivElement>(null)
  const atEnd = useRef(true)
  const [below, setBelow] = useState(false)
  const items = useMemo(() => itemsOf(messages), [messages])
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 50,
    overscan: 10,
    paddingStart: 16,
    paddingEnd: 16,
    // What is read stays where it is when older messages come before it.
    anchorTo: "end",
    getItemKey: (at) => items[at]?.message.id ?? at
  })
  const toEnd = useCallback(() => {
    const element = scroller.current
    if (element !== null) element.scrollTop = element.scrollHeight
  }, [])
  const last = items.at(-1)?.message
  const mine = last?.from === model.node.id
  const total = rows.getTotalSize()
  useEffect(() => {
    if (mine) atEnd.current = true
  }, [mine, last?.id])
  useLayoutEffect(() => {
    // Also when rows turn out taller than they were taken for, so that the end stays the end.
    if (atEnd.current) toEnd()
    else setBelow(true)
  }, [last?.id, total, toEnd])
  useEffect(() => {
    const look = () => {
      if (
        !searching &&
        atEnd.current &&
        document.visibilityState === "visible" &&
        scroller.current?.offsetParent !== null
      )
        see(to)
    }
    look()
    document.addEventListener("visibilitychange", look)
    return () => document.removeEventListener("visibilitychange", look)
  }, [to, last?.id, searching])
  const older = !searching && hasOlder(model, to)
  const top = rows.range?.startIndex ?? 0
  useEffect(() => {
    const isShort = items.length < 2 * nearStart
    if (older && top < nearStart && (isShort || !atEnd.current)) void readOlder(to)
  }, [older, top, to, items.length])
  if (items.length === 0) {
    return (
      <div className="grid min-h-0 flex-1 place-items-center overflow-hidden">
        {older ? null : searching ? (
          <Empty icon={SearchX} title="Nothing found" />
        ) : (
          <Empty icon={MessageCircle} title="No messages yet">
            <p>
              {to === "everyone"
                ? "What you write here goes to everyone who is connected or verified."
                : "Write something, or drop files and folders here."}
            </p>
          </Empty>
        )}
      </div>
    )
  }
  return (
    <div className="relative min-h-0 flex-1">
      <div
        ref={scroller}
        tabIndex={0}
        role="region"
        aria-label="Messages"
        className="h-full overflow-y-auto outline-offset-[-2px]"
        onScroll={(event) => {
          const { clientHeight, scrollHeight, scrollTop } = event.currentTarget
          atEnd.current = scrollHeight - scrollTop - clientHeight < nearEnd
          if (!atEnd.current) return
          setBelow(false)
          if (!searching && document.visibilityState === "visible") see(to)
        }}
      >
        {older && top === 0 && (
          <p role="status" className="breathe py-3 text-center text-sm text-muted">
            Reading what came before…
          </p>
        )}
        <ol style={{ height: total }} className="relative mx-auto max-w-[51rem]">
          {rows.getVirtualItems().map((row) => {
            const item = items[row.index]
            if (item === undefined) return null
            return (
              <li
                key={row.key}
                ref={rows.measureElement}
                data-index={row.index}
                aria-setsize={items.length}
                aria-posinset={row.index + 1}
                style={{ transform: `translateY(${row.start}px)` }}
                className="absolute inset-x-0 top-0 px-4 md:px-6"
              >
                {item.newDay && (
                  <p className="flex items-center gap-4 py-4 text-sm font-medium text-muted before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
                    {day(item.message.sentAt, now)}
                  </p>
                )}
                <Message
                  message={item.message}
                  first={item.first}
                  mine={item.message.from === model.node.id}
                  author={model.peers.get(item.message.from)}
                  peers={model.peers}
                  showAuthor={to === "everyone"}
                />
              </li>
            )
          })}
        </ol>
      </div>
      {below && (
        <button
          type="button"
          onClick={() => {
            atEnd.current = true
            setBelow(false)
            toEnd()
          }}
          className="arrive absolute bottom-4 left-1/2 inline-flex min-h-10 -translate-x-1/2 items-center gap-2 rounded-full border border-line bg-raised px-4 text-sm font-medium shadow-float"
        >
          <ArrowDown size={16} aria-hidden />
          To the newest
        </button>
      )}
    </div>
  )
}
