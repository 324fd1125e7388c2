package client

// Bucket is a namespace of keys. It is a name, nothing that has to be made or
// closed, and may be shared by goroutines.
type Bucket struct {
	c                *Client
	bucketType, name string
}

// BucketType is the properties shared by buckets, by name.
type BucketType struct {
	c    *Client
	name string
}

// Bucket returns the bucket of that name, of the default type. Any bytes may
// be in a name.
func (c *Client) Bucket(name string) *Bucket { return c.BucketType(defaultBucketType).Bucket(name) }

// BucketType returns the bucket type of that name, which has to exist in the
// cluster when it is used.
func (c *Client) BucketType(name string) *BucketType {
	if name == "" {
		name = defaultBucketType
	}
	return &BucketType{c: c, name: name}
}

// Bucket returns the bucket of that name, of type t.
func (t *BucketType) Bucket(name string) *Bucket {
	return &Bucket{c: t.c, bucketType: t.name, name: name}
}

// Name of the bucket type.
func (t *BucketType) Name() string { return t.name }

// Name of the bucket.
func (b *Bucket) Name() string { return b.name }

// Type returns the name of the bucket's type.
func (b *Bucket) Type() string { return b.bucketType }

func (b *Bucket) key(key string) objectKey {
	return objectKey{bucketType: b.bucketType, bucket: b.name, key: key}
}
