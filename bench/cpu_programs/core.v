// A small processor with a multiplier and a filter, written for the comparison of CPU levels.

module registers #(parameter WIDTH = 32, parameter COUNT = 16) (
    input clock,
    input write,
    input [3:0] to,
    input [3:0] first,
    input [3:0] second,
    input [WIDTH-1:0] value,
    output [WIDTH-1:0] a,
    output [WIDTH-1:0] b
);
  reg [WIDTH-1:0] file [0:COUNT-1];
  always @(posedge clock) if (write) file[to] <= value;
  assign a = file[first];
  assign b = file[second];
endmodule

module alu #(parameter WIDTH = 32) (
    input [3:0] operation,
    input [WIDTH-1:0] a,
    input [WIDTH-1:0] b,
    output reg [WIDTH-1:0] result,
    output zero
);
  always @(*)
    case (operation)
      4'd0: result = a + b;
      4'd1: result = a - b;
      4'd2: result = a & b;
      4'd3: result = a | b;
      4'd4: result = a ^ b;
      4'd5: result = a << b[4:0];
      4'd6: result = a >> b[4:0];
      4'd7: result = $signed(a) >>> b[4:0];
      4'd8: result = {{(WIDTH-1){1'b0}}, a < b};
      4'd9: result = {{(WIDTH-1){1'b0}}, $signed(a) < $signed(b)};
      4'd10: result = a * b;
      default: result = b;
    endcase
  assign zero = result == 0;
endmodule

module filter #(parameter WIDTH = 16, parameter TAPS = 8) (
    input clock,
    input reset,
    input [WIDTH-1:0] sample,
    output reg [2*WIDTH-1:0] filtered
);
  reg [WIDTH-1:0] line [0:TAPS-1];
  reg [2*WIDTH-1:0] sum;
  integer n, m;
  always @(*) begin
    sum = 0;
    for (n = 0; n < TAPS; n = n + 1) sum = sum + line[n] * (16'd3 * n + 16'd41);
  end
  always @(posedge clock) begin
    if (reset) filtered <= 0;
    else filtered <= sum;
    line[0] <= sample;
    for (m = 1; m < TAPS; m = m + 1) line[m] <= line[m-1];
  end
endmodule

module core (
    input clock,
    input reset,
    input [31:0] instruction,
    input [15:0] sample,
    output reg [15:0] counter,
    output [31:0] result,
    output [31:0] filtered
);
  wire [31:0] a, b, from_registers;
  wire zero;
  wire has_constant = instruction[31];
  wire jumps = instruction[30];
  assign b = has_constant ? {{18{instruction[13]}}, instruction[13:0]} : from_registers;
  registers registers (
      .clock(clock), .write(!jumps), .to(instruction[25:22]), .first(instruction[21:18]),
      .second(instruction[17:14]), .value(result), .a(a), .b(from_registers));
  alu alu (.operation(instruction[29:26]), .a(a), .b(b), .result(result), .zero(zero));
  filter filter (.clock(clock), .reset(reset), .sample(sample), .filtered(filtered));
  always @(posedge clock)
    if (reset) counter <= 0;
    else if (jumps && zero) counter <= result[15:0];
    else counter <= counter + 1;
endmodule
