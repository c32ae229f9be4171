/** The shape of the page while its lists are read. */

const Bar = ({ className }: { readonly className: string }) => (
  <span aria-hidden className={`breathe block rounded-lg bg-sunken ${className}`} />
)

export const Loading = ({ lost }: { readonly lost: boolean }) => (
  <main className="grid h-full md:grid-cols-[18rem_1fr]" aria-busy="true">
    <div className="hidden flex-col gap-4 border-r border-line bg-surface p-5 md:flex">
      <Bar className="h-10 w-32" />
      <Bar className="mt-4 h-12" />
      <Bar className="h-12" />
      <Bar className="h-12" />
    </div>
    <div className="grid place-items-center p-6">
      <p role="status" className="text-lg text-muted">
        {lost ? "The node does not answer yet. Trying again…" : "Opening…"}
      </p>
    </div>
  </main>
)
