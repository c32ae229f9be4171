/**
 * What people use today, from Debian's packages: scp, rsync and tar, each over an sshd of its own on loopback with keys
 * that are thrown away. It lives in a `Home`.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer, connect, type AddressInfo } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { cpuOf, type Home, type Ran, run } from "./Processes.ts"

/** The fastest cipher that scp has on a processor with AES. */
const cipher = "aes128-gcm@openssh.com"

export interface Rivals {
  /** Each copies `from` into a directory that is empty, as one command. */
  readonly scp: (from: string) => Promise<Ran>
  readonly rsync: (from: string) => Promise<Ran>
  readonly tar: (from: string) => Promise<Ran>
}

/** The tools that are not here, by name. */
export const missing = (): ReadonlyArray<string> =>
  ["sshd", "ssh", "scp", "rsync", "tar"].filter((tool) => where(tool) === undefined)

const where = (tool: string): string | undefined => {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`
  const found = spawnSync("sh", ["-c", `command -v ${tool}`], { env: { PATH: path }, encoding: "utf8" })
  return found.status === 0 ? found.stdout.trim() : undefined
}

export const rivals = async (home: Home): Promise<Rivals> => {
  const sshd = where("sshd")
  if (sshd === undefined) throw new Error("no sshd here: install openssh-server")
  const dir = home.at("ssh")
  mkdirSync(dir, { mode: 0o700 })
  mkdirSync("/run/sshd", { recursive: true })
  for (const key of ["host", "user"]) await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${dir}/${key}`)
  const port = await freePort()
  writeFileSync(
    `${dir}/sshd_config`,
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${dir}/host`,
      `AuthorizedKeysFile ${dir}/user.pub`,
      `PidFile ${dir}/pid`,
      "PasswordAuthentication no",
      "UsePAM no",
      "StrictModes no",
      "UseDNS no",
      "Subsystem sftp internal-sftp",
      ""
    ].join("\n")
  )
  const daemon = home.start(sshd, "-D", "-e", "-f", `${dir}/sshd_config`)
  const { pid } = daemon
  if (pid === undefined) throw new Error("sshd did not start")
  await listens(port)

  const options = ["-i", `${dir}/user`, "-c", cipher, "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
  const known = ["-o", `UserKnownHostsFile=${dir}/known`, "-o", "IdentitiesOnly=yes"]
  const ssh = ["ssh", ...options, ...known, "-p", `${port}`].join(" ")
  const host = "127.0.0.1"
  const into = home.at("copied")
  const copy = async (command: string, ...args: ReadonlyArray<string>): Promise<Ran> => {
    rmSync(into, { recursive: true, force: true })
    mkdirSync(into)
    const before = cpuOf(pid)
    const ran = await run(command, ...args)
    // The daemon waits for the end of a session a moment after its client has gone.
    await delay(200)
    return { ...ran, cpu: ran.cpu + cpuOf(pid) - before }
  }
  return {
    scp: (from) => copy("scp", "-q", "-r", ...options, ...known, "-P", `${port}`, from, `${host}:${into}/`),
    rsync: (from) => copy("rsync", "-a", "-e", ssh, from, `${host}:${into}/`),
    tar: (from) => copy("sh", "-c", `tar -C "$1" -cf - . | ${ssh} ${host} tar -C ${into} -xf -`, "sh", from)
  }
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const listens = async (port: number): Promise<void> => {
  for (let tries = 0; tries < 100; tries++) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false))
      socket.on("connect", () => socket.destroy())
    })
    if (isUp) return
    await delay(50)
  }
  throw new Error("sshd does not listen")
}
