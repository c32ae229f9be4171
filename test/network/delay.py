"""A cable that takes its time, where the kernel has no netem: `delay.py ONE OTHER MILLIS` makes two interfaces, and what
comes in at the one leaves the other so much later. Prints a line when it is up; ends when it is killed."""
import collections, fcntl, os, select, struct, sys, time

IFF_TAP_NO_PI, TUNSETIFF = 0x1002, 0x400454CA
ends = []
for name in sys.argv[1:3]:
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP_NO_PI))
    ends.append(end)
wait = float(sys.argv[3]) / 1000
other = {ends[0]: ends[1], ends[1]: ends[0]}
# Every frame waits as long, so they leave in the order in which they came.
under_way = collections.deque()
print("up", flush=True)
while True:
    left = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
    for end in select.select(ends, [], [], left)[0]:
        try:
            while True:
                frame = os.read(end, 65536)
                under_way.append((time.monotonic() + wait, other[end], frame))
        except BlockingIOError:
            pass
    now = time.monotonic()
    while under_way and under_way[0][0] <= now:
        _, end, frame = under_way.popleft()
        try:
            os.write(end, frame)
        except OSError:
            # Its interface is not up yet, or full: a frame is lost.
            pass
