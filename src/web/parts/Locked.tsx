/** The page without a key to its node: says why, and what opens it. */
import { KeyRound, PlugZap } from "lucide-react"
import type { Session } from "../state/Session.ts"

type Why = Extract<Session, { readonly _tag: "Locked" }>["why"]

const words: Record<Why, { readonly title: string; readonly text: string }> = {
  missing: {
    title: "Open Kith from its link",
    text: "This page belongs to the node on this machine, and only its owner may use it. The node prints a link when it starts; this command opens it:"
  },
  used: {
    title: "This link was used already",
    text: "Each link opens the page once, so that nobody can follow it later. This command makes a new one:"
  },
  refused: {
    title: "The node does not know this page any more",
    text: "It was started again, or its key was changed. Nothing is lost. This command opens the page again:"
  },
  unreachable: {
    title: "The node does not answer",
    text: "It may have been stopped. Start it with kith up, then open the page again:"
  }
}

export const Locked = ({ why }: { readonly why: Why }) => {
  const { text, title } = words[why]
  const Icon = why === "unreachable" ? PlugZap : KeyRound
  return (
    <main className="grid h-full place-items-center overflow-y-auto p-6">
      <div className="max-w-md text-center">
        <span className="mx-auto grid size-16 place-items-center rounded-2xl bg-accent-soft text-accent-ink">
          <Icon size={30} strokeWidth={1.75} aria-hidden />
        </span>
        <h1 className="mt-6 text-2xl font-semibold tracking-tight">{title}</h1>
        <p className="mt-3 text-lg text-muted">{text}</p>
        <p className="mt-6">
          <code className="rounded-xl border border-line bg-raised px-5 py-3 font-mono text-lg select-all">
            kith open
          </code>
        </p>
      </div>
    </main>
  )
}
