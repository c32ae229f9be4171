/** What was said with everyone or with one peer, and the line to say more. */
import { ArrowDownUp, Info, Search, ShieldCheck, Users, X } from "lucide-react"
import { useEffect, useMemo, useRef, useState } from "react"
import { registry, useAtomValue } from "../state/atoms.ts"
import { offers, underway } from "../state/Attention.ts"
import { model } from "../state/Live.ts"
import { conversationOf } from "../state/Model.ts"
import { type Found, useFound } from "../state/useFound.ts"
import { useNow } from "../state/useNow.ts"
import { conversation, panel, show, talkTo } from "../state/View.ts"
import { count } from "../text/format.ts"
import { statusOf, trustOf } from "../text/status.ts"
import { Avatar } from "./Avatar.tsx"
import { IconButton } from "./Button.tsx"
import { Composer } from "./Composer.tsx"
import { Count } from "./Count.tsx"
import { MessageList } from "./MessageList.tsx"
import { PeerName } from "./PeerName.tsx"

const foundWords = (found: Found | null): string =>
  found === null
    ? "Searching…"
    : (found.problem ??
      (found.messages.length === 1 ? "1 message found" : `${count(found.messages.length)} messages found`))

export const Conversation = () => {
  const known = useAtomValue(model)
  const to = useAtomValue(conversation)
  const waiting = useAtomValue(offers).length
  const running = useAtomValue(underway).length
  const over = useAtomValue(panel)
  const now = useNow()
  const [searching, setSearching] = useState(false)
  const [query, setQuery] = useState("")
  const searchButton = useRef<HTMLButtonElement>(null)
  const endSearch = () => {
    setSearching(false)
    setQuery("")
    searchButton.current?.focus()
  }
  const peer = to === "everyone" ? undefined : known?.peers.get(to)
  const me = known?.node.id
  const all = known?.messages
  const gone = to !== "everyone" && known !== null && peer === undefined
  useEffect(() => {
    if (gone) talkTo("everyone")
  }, [gone])
  useEffect(() => {
    setSearching(false)
    setQuery("")
  }, [to])
  const messages = useMemo(
    () => (all === undefined || me === undefined ? [] : all.filter((message) => conversationOf(message, me) === to)),
    [all, me, to]
  )
  const { found, more } = useFound(to, query, me)
  if (known === null) return null
  const connected = [...known.peers.values()].filter(({ state }) => state === "connected").length
  return (
    <>
      <header className="flex min-h-18 items-center gap-3 border-b border-line bg-surface px-4 py-2.5 md:px-6">
        {peer === undefined ? (
          <span aria-hidden className="grid size-10 shrink-0 place-items-center rounded-xl bg-accent text-on-accent">
            <Users size={20} />
          </span>
        ) : (
          <Avatar id={peer.id} />
        )}
        <div className="min-w-0 flex-1">
          <h2 className="flex text-lg leading-6 font-semibold">
            {peer === undefined ? "Everyone" : <PeerName peer={peer} />}
          </h2>
          <p className="truncate text-sm text-muted">
            {peer === undefined
              ? connected === 1
                ? "1 peer is connected"
                : `${connected} peers are connected`
              : [...new Set([statusOf(peer, now), trustOf(peer)])].join(" · ")}
          </p>
        </div>
        {peer !== undefined && peer.trust === "unverified" && peer.state === "connected" && (
          <IconButton label="Verify this peer" onClick={() => show({ _tag: "Verify", peer: peer.id })}>
            <ShieldCheck size={20} aria-hidden />
          </IconButton>
        )}
        <IconButton
          ref={searchButton}
          label={searching ? "Close search" : "Search this conversation"}
          aria-expanded={searching}
          onClick={() => (searching ? endSearch() : setSearching(true))}
        >
          {searching ? <X size={20} aria-hidden /> : <Search size={20} aria-hidden />}
        </IconButton>
        {peer !== undefined && (
          <IconButton label="About this peer" onClick={() => show({ _tag: "Peer", peer: peer.id })}>
            <Info size={20} aria-hidden />
          </IconButton>
        )}
        <IconButton
          label="Transfers"
          aria-expanded={over}
          className="relative max-md:hidden lg:hidden"
          onClick={() => registry.set(panel, !over)}
        >
          <ArrowDownUp size={20} aria-hidden />
          {waiting + running > 0 && (
            <Count value={waiting + running} meaning="waiting or under way" className="absolute -top-0.5 -right-0.5" />
          )}
        </IconButton>
      </header>
      {searching && (
        <div role="search" className="border-b border-line bg-surface px-4 py-2.5 md:px-6">
          <input
            type="search"
            autoFocus
            aria-label="Search this conversation"
            placeholder="Search this conversation"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") endSearch()
            }}
            className="min-h-10 w-full rounded-xl border border-edge bg-raised px-3.5 text-base"
          />
          <p role="status" className={`px-1 text-sm text-muted ${query.trim() === "" ? "sr-only" : "pt-2"}`}>
            {query.trim() === "" ? "" : foundWords(found)}
            {found?.before != null && (
              <button type="button" className="ml-2 font-medium text-accent underline" onClick={() => void more()}>
                Look further back
              </button>
            )}
          </p>
        </div>
      )}
      {query.trim() === "" ? (
        <MessageList key={`messages ${to}`} messages={messages} model={known} to={to} />
      ) : (
        found !== null && (
          <MessageList key={`${to} ${query}`} messages={found.messages} model={known} to={to} searching />
        )
      )}
      <Composer key={to} to={to} peer={peer} connected={connected} />
    </>
  )
}
