package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// sinkEnv makes this test binary a process that receives a stream and keeps
// nothing of it.
const sinkEnv = "RINGD_TEST_SINK"

// copyMessage is what one message of a plain copy carries: as much as one of a
// transfer.
const copyMessage = 256 << 10

var copyStream = grpc.StreamDesc{StreamName: "Copy", ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
	var n uint64
	for {
		var m wrapperspb.BytesValue
		switch err := s.RecvMsg(&m); err {
		case nil:
			n += uint64(len(m.Value))
		case io.EOF:
			return s.SendMsg(wrapperspb.UInt64(n))
		default:
			return err
		}
	}
}}

// sink serves until its standard input ends. Its address is the first line of its
// output.
func sink() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "sink", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{copyStream}}, nil)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.Stop()
	}()
	fmt.Println(l.Addr())
	return s.Serve(l)
}

// plainCopy sends bytes to another process over one gRPC stream, which does nothing
// with them: the most that a move could reach. It returns how long that took, and
// the processor time of both processes.
func plainCopy(b *testing.B, bytes int64) (took, cpu time.Duration) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sinkEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("the process that was copied to: %v", err)
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	conn, err := grpc.NewClient(strings.TrimSpace(addr), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	s, err := conn.NewStream(context.Background(), &copyStream, "/sink/Copy", grpc.WaitForReady(true))
	if err != nil {
		b.Fatal(err)
	}
	m := wrapperspb.Bytes(noise[:copyMessage])
	before, began := ownCPU(b), time.Now()
	for left := bytes; left > 0; left -= copyMessage {
		if err := s.SendMsg(m); err != nil {
			b.Fatal(err)
		}
	}
	var got wrapperspb.UInt64Value
	if err := s.CloseSend(); err != nil {
		b.Fatal(err)
	}
	if err := s.RecvMsg(&got); err != nil || int64(got.Value) < bytes {
		b.Fatalf("of %d bytes %d arrived: %v", bytes, got.Value, err)
	}
	return time.Since(began), ownCPU(b) - before
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
