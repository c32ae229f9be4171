/** The shape of the page while its lists are read, or what keeps it from reading them. */
import { PlugZap } from "lucide-react"
import type { Link } from "../state/Live.ts"

const Bar = ({ className }: { readonly className: string }) => (
  <span aria-hidden className={`breathe block rounded-lg bg-sunken ${className}`} />
)

const Away = ({ link }: { readonly link: Link }) => (
  <>
    <span className="mx-auto grid size-16 place-items-center rounded-2xl bg-warn-soft text-warn">
      <PlugZap size={30} strokeWidth={1.75} aria-hidden />
    </span>
    <h1 className="mt-6 text-2xl font-semibold tracking-tight">
      {link === "Lost" ? "The node does not answer" : "This is another node"}
    </h1>
    <p className="mt-3 text-lg text-muted">
      {link === "Lost" ? (
        <>
          It may have been stopped. Start it with <code className="font-mono">kith up</code>: this page goes on by
          itself as soon as it is there.
        </>
      ) : (
        <>
          What answers here does not know this page, so it was told nothing. Open the page of your node with{" "}
          <code className="font-mono">kith open</code>.
        </>
      )}
    </p>
  </>
)

export const Loading = ({ link }: { readonly link: Link }) => {
  const away = link === "Lost" || link === "Stranger"
  return (
    <main className={`grid h-full ${away ? "" : "md:grid-cols-[18rem_1fr]"}`} aria-busy={!away}>
      {!away && (
        <div className="hidden flex-col gap-4 border-r border-line bg-surface p-5 md:flex">
          <Bar className="h-10 w-32" />
          <Bar className="mt-4 h-12" />
          <Bar className="h-12" />
          <Bar className="h-12" />
        </div>
      )}
      <div className="grid place-items-center p-6">
        <div role="status" className="max-w-md text-center">
          {away ? <Away link={link} /> : <p className="text-lg text-muted">Opening…</p>}
        </div>
      </div>
    </main>
  )
}
