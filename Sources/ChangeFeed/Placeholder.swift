// ChangeFeed
