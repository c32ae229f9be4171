/**
 * The limit of the platform: a bare node:tls connection, memory to memory, whose receiver dials and reads into one
 * buffer. No files, no digests. `node pipe.ts send PORT BYTES` and `node pipe.ts receive PORT` are its two ends.
 */
import { generateKeyPairSync } from "node:crypto"
import { readFileSync } from "node:fs"
import type { SocketConstructorOpts } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import * as tls from "node:tls"
import { selfSigned } from "../src/services/identity/Certificate.ts"
import { type Ran, run } from "./Processes.ts"

const self = fileURLToPath(import.meta.url)
const ciphers = "TLS_AES_128_GCM_SHA256"

const sendEnd = (port: number, bytes: number): void => {
  const { privateKey } = generateKeyPairSync("ed25519")
  const key = privateKey.export({ type: "pkcs8", format: "pem" })
  const chunk = Buffer.alloc(256 * 1024, 7)
  const server = tls.createServer({ key, cert: selfSigned(privateKey), minVersion: "TLSv1.3", ciphers }, (socket) => {
    server.close()
    let left = bytes
    const pump = () => {
      while (left > 0) {
        left -= chunk.length
        if (!socket.write(chunk)) return void socket.once("drain", pump)
      }
      socket.end()
    }
    pump()
  })
  server.listen(port, "127.0.0.1", () => process.stdout.write("ready\n"))
}

const receiveEnd = (port: number): void => {
  let count = 0
  const onread: SocketConstructorOpts["onread"] = {
    buffer: Buffer.allocUnsafeSlow(1024 * 1024),
    callback: (bytes) => {
      count += bytes
      return true
    }
  }
  const options: tls.ConnectionOptions & Pick<SocketConstructorOpts, "onread"> = {
    host: "127.0.0.1",
    port,
    rejectUnauthorized: false,
    ciphers,
    onread
  }
  const socket = tls.connect(options)
  socket.on("end", () => {
    process.stdout.write(`${count}\n`)
    socket.end()
  })
}

/** So many bytes through the pipe: time from the start of the receiver, and the CPU of both ends. */
export const pipe = async (bytes: number): Promise<Ran> => {
  const port = 20_000 + (process.pid % 20_000)
  const ended = run(process.execPath, self, "send", `${port}`, `${bytes}`)
  await listening(port)
  const received = await run(process.execPath, self, "receive", `${port}`)
  const sent = await ended
  if (Number(received.out) !== bytes) throw new Error(`the pipe lost something: ${received.out.trim()} of ${bytes}`)
  return { ...received, cpu: received.cpu + sent.cpu }
}

/** Until something listens there; a connection would be taken for the receiver's. */
const listening = async (port: number): Promise<void> => {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`
  while (!readFileSync("/proc/net/tcp", "utf8").includes(wanted)) await delay(5)
}

if (process.argv[1] === self) {
  const [, , end, port, bytes] = process.argv
  if (end === "send") sendEnd(Number(port), Number(bytes))
  else receiveEnd(Number(port))
}
