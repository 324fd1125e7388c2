package member

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/peer"
	"github.com/ringd/ringd/ring"
)

// Config describes a member. Addresses are host:port.
type Config struct {
	DataDir string
	Name    string
	// Listen is where gRPC is served, Advertise where others reach it.
	Listen, Advertise string
	Gossip            string
	// GossipKey is base64 of the key that encrypts gossip; empty is none.
	GossipKey            string
	HTTP                 string
	Zone                 string
	Weight               int
	Role                 cluster.Role
	Bootstrap            bool
	Partitions, Replicas int
	Join                 []string
	// Insecure allows addresses that others can reach.
	Insecure bool
	Logger   *slog.Logger
	// WireMax is the highest version of the protocol between members that is spoken;
	// what came with later ones is done without.
	WireMax int
	// AutoCommit has the member stage, plan and commit its own joining, if the
	// cluster's settings allow it.
	AutoCommit bool
	// Drain has whoever stops the member let it leave first, for DrainWithin at most.
	Drain       bool
	DrainWithin time.Duration
	// StartWithin is how long a start waits to be agreed on before the member
	// serves without; its vnodes then take new actors.
	StartWithin time.Duration
	// SweepEvery is the pause, on average, between two looks for keys that have
	// expired and are to be deleted.
	SweepEvery time.Duration
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:7600", Weight: 1, Partitions: 256, Replicas: 3,
		Role: cluster.RoleStorage, Logger: slog.Default(), WireMax: peer.WireMax,
		// Some 40 GiB at the default transfer_rate; orchestrators wait less unless told.
		DrainWithin: 10 * time.Minute,
		// A few elections: members that start together need one.
		StartWithin: 5 * time.Second,
		// Nobody sees what has expired; this is how long it takes up room.
		SweepEvery: time.Minute,
	}
}

// NameBytesMax bounds a member's name, which travels with every gossip message.
const NameBytesMax = 64

// Validate returns an error that names the setting and what to do.
func (c *Config) Validate() error {
	switch {
	case c.DataDir == "":
		return errors.New("--data-dir is missing: name a directory for this member's data")
	case c.Name == "" || len(c.Name) > NameBytesMax:
		return fmt.Errorf("--name has %d bytes: use 1 to %d", len(c.Name), NameBytesMax)
	case len(c.Zone) > NameBytesMax:
		return fmt.Errorf("--zone has %d bytes: use at most %d", len(c.Zone), NameBytesMax)
	case c.Weight < 1:
		return fmt.Errorf("--weight is %d: use 1 or more", c.Weight)
	case c.WireMax < peer.WireMin || c.WireMax > peer.WireMax:
		return fmt.Errorf("--wire-max is %d: this ringd speaks versions %d to %d of the protocol between members", c.WireMax, peer.WireMin, peer.WireMax)
	case c.Role != cluster.RoleStorage && c.Role != cluster.RoleGateway:
		return fmt.Errorf("--role is %q: use %s or %s", c.Role, cluster.RoleStorage, cluster.RoleGateway)
	case c.Role == cluster.RoleGateway && c.Bootstrap:
		return errors.New("--role gateway with --bootstrap: a cluster begins with a member that stores; start that one first, and the gateway with --join")
	case c.Role == cluster.RoleGateway && (c.AutoCommit || c.Drain):
		return errors.New("--role gateway with --auto-commit or --drain: a gateway owns no slots that it could take or hand over; leave them out")
	case c.Drain && c.DrainWithin <= 0:
		return fmt.Errorf("--drain-timeout is %v: it has to be above 0", c.DrainWithin)
	case c.SweepEvery <= 0:
		return fmt.Errorf("SweepEvery is %v: it has to be above 0", c.SweepEvery)
	}
	if err := (ring.Config{Partitions: c.Partitions, Replicas: c.Replicas}).Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if _, err := c.gossipKey(); err != nil {
		return err
	}
	var err error
	if c.Gossip, err = besideOf(c.Listen, c.Gossip, 1); err != nil {
		return fmt.Errorf("--listen %s: %w", c.Listen, err)
	}
	if c.HTTP, err = besideOf(c.Listen, c.HTTP, 2); err != nil {
		return fmt.Errorf("--listen %s: %w", c.Listen, err)
	}
	for _, a := range []struct{ flag, addr string }{{"listen", c.Listen}, {"gossip", c.Gossip}, {"http", c.HTTP}} {
		host, _, err := net.SplitHostPort(a.addr)
		if err != nil {
			return fmt.Errorf("--%s %q: use host:port", a.flag, a.addr)
		}
		if !loopback(host) && !c.Insecure {
			return fmt.Errorf("--%s %s can be reached by others, and traffic is not encrypted yet: use a loopback address, or allow it with --insecure", a.flag, a.addr)
		}
	}
	return nil
}

// besideOf returns addr, or if it is empty the address that is offset ports
// above listen. Port 0 stays 0: any.
func besideOf(listen, addr string, offset int) (string, error) {
	if addr != "" {
		return addr, nil
	}
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return "", errors.New("use host:port")
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535-offset {
		return "", fmt.Errorf("port %q is no number from 0 to %d", portText, 65535-offset)
	}
	if port > 0 {
		port += offset
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (c *Config) gossipKey() ([]byte, error) {
	if c.GossipKey == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(c.GossipKey)
	if err != nil {
		return nil, fmt.Errorf("--gossip-key is not base64: %w", err)
	}
	if n := len(key); n != 16 && n != 24 && n != 32 {
		return nil, fmt.Errorf("--gossip-key has %d bytes: use 16, 24 or 32 bytes in base64", n)
	}
	return key, nil
}
