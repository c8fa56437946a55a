package main

import (
	"log"
	"net"
	"sync"
	"time"
)

// pieceSize is the most that is read at once.
const pieceSize = 64 * 1024

// relay accepts connections and joins each to one of its own to the target.
//
// Every byte leaves `delay` after it arrived, whatever is under way: there is no window that would limit the
// bandwidth, so the queue of a slow receiver can grow. A connection is accepted at once: its handshake takes no
// round trip, which is kind to programs that open many.
func relay(address, target string, delay time.Duration) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			server, err := net.Dial("tcp", target)
			if err != nil {
				log.Print(err)
				client.Close()
				return
			}
			join(client.(*net.TCPConn), server.(*net.TCPConn), delay)
		}()
	}
}

// join passes bytes on in both directions until both have ended.
func join(client, server *net.TCPConn, delay time.Duration) {
	var directions sync.WaitGroup
	directions.Go(func() { pass(client, server, delay) })
	directions.Go(func() { pass(server, client, delay) })
	directions.Wait()
	client.Close()
	server.Close()
}

// piece is what was read at once, and when it is to leave. No data means the end.
type piece struct {
	data []byte
	due  time.Time
}

// pieces is a queue without a limit.
type pieces struct {
	lock    sync.Mutex
	arrived sync.Cond
	waiting []piece
}

var buffers = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// pass sends what it reads from one side to the other, `delay` later, and the end of it, too.
func pass(from, to *net.TCPConn, delay time.Duration) {
	queue := &pieces{}
	queue.arrived.L = &queue.lock
	go func() {
		for {
			buffer := buffers.Get().(*[pieceSize]byte)
			count, err := from.Read(buffer[:])
			// An answer and the end of the connection can come together.
			if count > 0 {
				queue.add(piece{buffer[:count], time.Now().Add(delay)})
			}
			if err != nil {
				queue.add(piece{nil, time.Now().Add(delay)})
				return
			}
		}
	}()
	for broken := false; ; {
		for _, next := range queue.take() {
			time.Sleep(time.Until(next.due))
			if next.data == nil {
				to.CloseWrite()
				return
			}
			if !broken {
				if _, err := to.Write(next.data); err != nil {
					broken = true
					from.CloseRead()
				}
			}
			buffers.Put((*[pieceSize]byte)(next.data[:pieceSize]))
		}
	}
}

func (queue *pieces) add(next piece) {
	queue.lock.Lock()
	queue.waiting = append(queue.waiting, next)
	queue.lock.Unlock()
	queue.arrived.Signal()
}

// take waits until there is something, and takes all of it.
func (queue *pieces) take() []piece {
	queue.lock.Lock()
	defer queue.lock.Unlock()
	for len(queue.waiting) == 0 {
		queue.arrived.Wait()
	}
	taken := queue.waiting
	queue.waiting = nil
	return taken
}
