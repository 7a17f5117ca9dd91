export { createTestClock as createFakeClock, type TestClock as FakeClock } from '../../src/testing/test-clock.ts';
