// Allocations
