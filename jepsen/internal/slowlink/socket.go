package slowlink

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// receiveBytes is how much a socket holds that was not read yet. What comes on top is lost.
const receiveBytes = 16 << 20

// within runs do in a network namespace. Sockets that it opens stay there.
func within(namespace string, do func() error) error {
	result := make(chan error)
	go func() { result <- onThread(namespace, do) }()
	return <-result
}

// onThread is within, on a thread that comes back. A thread that ended instead would take
// processes with it, which are to die with what started them: for Linux, that is the
// thread that did.
func onThread(namespace string, do func() error) error {
	ns, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	runtime.LockOSThread()
	before, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer before.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	err = do()
	if back := unix.Setns(int(before.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread is of no use to anybody else, and ends with this goroutine.
		return errors.Join(err, fmt.Errorf("namespace %s: going back: %w", namespace, back))
	}
	runtime.UnlockOSThread()
	return err
}

// listen opens a socket that reads what comes in by an interface of this namespace, with
// what is yet to be done to each packet (its checksum, its segments) in front.
func listen(name string) (*os.File, error) {
	return packetSocket(name, unix.ETH_P_ALL, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBytes)
	})
}

// speak opens a socket that writes by an interface of this namespace what listen's read,
// marked.
func speak(name string, mark int) (*os.File, error) {
	return packetSocket(name, 0, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark)
	})
}

func packetSocket(name string, protocol uint16, prepare func(fd int) error) (*os.File, error) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
	if err == nil {
		err = prepare(fd)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: dev.Index})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("packet socket of %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
