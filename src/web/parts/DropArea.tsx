/** Files may be dropped anywhere on the conversation; while they hover, it says who would get them. */
import { FileUp } from "lucide-react"
import { type ReactNode, useRef, useState } from "react"
import { useAtomValue } from "../state/atoms.ts"
import { carriesFiles, receiveDrop } from "../state/Dropping.ts"
import { model } from "../state/Live.ts"
import { conversation } from "../state/View.ts"
import { Name } from "./PeerName.tsx"

export const DropArea = ({ children }: { readonly children: ReactNode }) => {
  const to = useAtomValue(conversation)
  const known = useAtomValue(model)
  const depth = useRef(0)
  const [over, setOver] = useState(false)
  const name = to === "everyone" ? "everyone" : (known?.peers.get(to)?.name ?? "this peer")
  return (
    <div
      className="relative flex min-h-0 flex-1 flex-col"
      onDragEnter={(event) => {
        if (!carriesFiles(event.dataTransfer)) return
        depth.current += 1
        setOver(true)
      }}
      onDragLeave={() => {
        depth.current = Math.max(0, depth.current - 1)
        if (depth.current === 0) setOver(false)
      }}
      onDragOver={(event) => {
        if (carriesFiles(event.dataTransfer)) event.preventDefault()
      }}
      onDrop={(event) => {
        if (!carriesFiles(event.dataTransfer)) return
        event.preventDefault()
        depth.current = 0
        setOver(false)
        void receiveDrop(event.dataTransfer, to)
      }}
    >
      {children}
      {over && (
        <div className="pointer-events-none absolute inset-3 z-10 grid place-items-center rounded-card border-2 border-dashed border-accent bg-accent-soft text-accent-ink">
          <p className="flex max-w-full items-center gap-3 px-6 text-xl font-semibold">
            <FileUp size={28} className="shrink-0" aria-hidden />
            <span className="shrink-0">Drop to send to</span> <Name text={name} />
          </p>
        </div>
      )}
    </div>
  )
}
